"""Released tables: the published byte counts without the slow coder, ours with the same table, escapes counted."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coding_latents import sparse_latents
from dahuffman import HuffmanCodec
from hypothesis import given
from hypothesis import strategies as st

from sc2_spic_plugin.coding import PublishedTable, SymbolTables
from sc2_spic_plugin.errors import TableError
from sc2_spic_plugin.importers import read_frequencies

COUNTS = {0: 900, 1: 60, 2: 30, 4: 9, 7: 1}  # 3, 5 and 6 are gaps
TABLE = PublishedTable(2.5, COUNTS, "made up")


@given(
    counts=st.dictionaries(st.integers(0, 60), st.integers(1, 10**9), min_size=1, max_size=40),
    picks=st.lists(st.integers(0, 10**6), max_size=60),
)
def test_huffman_bytes_are_those_of_dahuffman(counts: dict[int, int], picks: list[int]) -> None:
    known = sorted(counts)
    symbols = np.array([known[pick % len(known)] for pick in picks], dtype=np.int32)
    released = HuffmanCodec.from_frequencies({np.float32(symbol * 0.5): counts[symbol] for symbol in counts})
    lengths = PublishedTable(0.5, counts).lengths(symbols.reshape(1, 1, -1))
    assert lengths["huffman_bytes"] == len(released.encode((symbols * np.float32(0.5)).tolist()))
    assert lengths["escapes"] == 0


def test_the_released_units_cost_what_the_released_coder_said(reference: Path) -> None:
    golden = json.loads((reference / "golden_units.json").read_text())
    checked = 0
    for name, expected in golden.items():
        if expected["huffman_bytes"] is None or len(expected["symbols"]) != np.prod(expected["latent_shape"]):
            continue
        counts = read_frequencies(reference / expected["freq"], expected["qp"])
        symbols = np.array(expected["symbols"]).reshape(expected["latent_shape"])
        lengths = PublishedTable(expected["qp"], counts).lengths(symbols[0])
        assert lengths["huffman_bytes"] == expected["huffman_bytes"], name
        checked += 1
    assert checked >= 5


def test_a_symbol_the_table_lacks_is_counted_and_still_coded_by_ours() -> None:
    symbols = torch.tensor([0, 3, 7, 8, -1, 10**6]).reshape(2, 1, 3)
    lengths = TABLE.lengths(symbols)
    assert lengths["huffman_bytes"] is None and lengths["escapes"] == 4
    coder = TABLE._coder(2)
    code = coder.encode(symbols)
    assert lengths["same_table_bytes"] == len(code) and torch.equal(coder.decode(code, (2, 1, 3)), symbols.int())


def test_our_coder_with_the_same_table_needs_fewer_bytes_and_its_entropy() -> None:
    counts = np.bincount(sparse_latents(300, 8, 4, 4).reshape(-1))
    table = PublishedTable(1.0, {symbol: int(count) for symbol, count in enumerate(counts) if count})
    lengths = [table.lengths(latent) for latent in sparse_latents(300, 8, 4, 4)]
    ours, huffman = (sum(each[key] or 0 for each in lengths) for key in ("same_table_bytes", "huffman_bytes"))
    probability = counts[counts > 0] / counts.sum()
    entropy = -float((counts[counts > 0] * np.log2(probability)).sum()) / 8
    assert entropy < ours < min(huffman, entropy + 300 * 1.0)  # a code is cut to whole bytes


def test_tables_in_a_checkpoint_code_alike_and_survive_update() -> None:
    module = SymbolTables(6, (3, 3), alphabet_size=TABLE.alphabet_size)
    module.install_shared_counts(TABLE.counts)
    assert not module.update()
    for latent in sparse_latents(20, 6, 3, 3):
        assert len(module.coder.encode(latent)) == TABLE.lengths(latent)["same_table_bytes"]


def test_a_saved_table_loads_equal_and_used_ones_are_copied(tmp_path: Path) -> None:
    path = TABLE.save(tmp_path / "table.json")
    assert PublishedTable.load(path) == TABLE and PublishedTable.load(path).source == "made up"
    expected = TABLE.lengths(np.ones((2, 2, 2), dtype=np.int32))
    for other in (copy.deepcopy(TABLE), pickle.loads(pickle.dumps(TABLE))):  # noqa: S301 - our own bytes
        assert other.lengths(np.ones((2, 2, 2), dtype=np.int32)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "expected a mapping with step, counts"),
        ('{"step": 1.0, "count": {"0": 1}}', "unknown key `count`.*Did you mean `counts`"),
        ('{"step": 1.0}', "needs `step` and `counts`"),
        ('{"step": 0, "counts": {"0": 1}}', "step of a published table must be a positive number"),
        ('{"step": 1, "counts": {}}', "needs `counts`"),
        ('{"step": 1, "counts": {"0.5": 1}}', "symbol of a published table must be a whole number"),
        ('{"step": 1, "counts": {"-1": 1}}', "symbol of a published table must be a whole number of 0"),
        ('{"step": 1, "counts": {"0": 0}}', "count of a published table must be a whole number of 1"),
        ('{"step": 1, "counts": {"0": true}}', "count of a published table"),
    ],
)
def test_files_that_hold_no_table_are_refused_by_name(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(TableError, match=f"(?s){path.name}.*|{message}") as raised:
        PublishedTable.load(path)
    assert raised.match(message) and str(path) in str(raised.value)


def test_a_missing_file_and_another_units_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no published table at .*sc2-spic import"):
        PublishedTable.load(tmp_path / "table.json")
    TABLE.check_step(2.5 * (1 + 1e-8))
    with pytest.raises(TableError, match=r"counted at step 2.5, the unit has step 2"):
        TABLE.check_step(2.0)


@pytest.mark.parametrize("arguments", [(float("nan"), COUNTS), ("1", COUNTS), (1.0, None), (1.0, {1.5: 1})])
def test_tables_made_of_nonsense_are_refused(arguments: tuple[Any, Any]) -> None:
    with pytest.raises(TableError, match="published table"):
        PublishedTable(*arguments)
