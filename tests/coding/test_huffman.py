"""The Huffman coder of the published results."""

from collections import Counter

import numpy as np
import pytest
from coding_latents import sparse_latents
from dahuffman import HuffmanCodec

from sc2_spic_plugin.coding import HuffmanCoder, StaticCoder
from sc2_spic_plugin.errors import BitstreamError, TableError

LATENTS = sparse_latents(200, 6, 3, 3)


def test_bytes_are_those_of_dahuffman_fed_with_multiples_of_the_step() -> None:
    coder, step = HuffmanCoder.fit(LATENTS), np.float32(3.3831)
    released = HuffmanCodec.from_frequencies(Counter((LATENTS * step).astype(np.float32).ravel().tolist()))
    for latent in LATENTS[:50]:
        assert coder.encode(latent) == released.encode((latent * step).astype(np.float32).ravel().tolist())


def test_codes_come_back_and_truncated_ones_are_refused() -> None:
    coder = HuffmanCoder.fit(LATENTS)
    for latent in LATENTS[:50]:
        code = coder.encode(latent)
        assert np.array_equal(coder.decode(code, latent.shape).numpy(), latent)
    with pytest.raises(BitstreamError, match="of 54 symbols"):
        coder.decode(code[:-3], latent.shape)


def test_a_missing_symbol_is_named() -> None:
    with pytest.raises(TableError, match="lacks symbol 977"):
        HuffmanCoder.fit(LATENTS).encode(np.full((6, 3, 3), 977))
    with pytest.raises(TableError, match="positive"):
        HuffmanCoder({})


def test_static_tables_need_at_least_five_percent_fewer_bytes() -> None:
    fresh = sparse_latents(100, 6, 8, 8, seed=0)
    train = sparse_latents(400, 6, 8, 8, seed=0)
    huffman, static = HuffmanCoder.fit(np.concatenate([train, fresh])), StaticCoder.fit(train)
    assert sum(map(len, static.encode_batch(fresh))) <= 0.95 * sum(len(huffman.encode(latent)) for latent in fresh)
