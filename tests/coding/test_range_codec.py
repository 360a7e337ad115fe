"""The range coder honours integer tables exactly and ends codes as early as possible."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2_spic_plugin.coding.escape import decode_escaped, encode_escaped, escaped_bits
from sc2_spic_plugin.coding.range_codec import TOTAL, RangeEncoder, build_model, encoded_bytes, open_decoder, take
from sc2_spic_plugin.coding.tables import integer_frequencies
from sc2_spic_plugin.coding.varint import read_varint, write_varints
from sc2_spic_plugin.errors import BitstreamError

WEIGHTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=200).filter(any)


@given(WEIGHTS)
@settings(deadline=None, max_examples=60)
def test_the_coders_interval_is_exactly_that_of_the_integer_table(weights: list[int]) -> None:
    frequencies = integer_frequencies(np.array(weights))
    cumulative = np.concatenate([[0], np.cumsum(frequencies)])
    model, unit = build_model(frequencies), (2**64 - 1) >> 24
    for symbol in range(len(frequencies)):
        encoder = RangeEncoder()
        encoder.encode(symbol, model)
        assert encoder.pos() == (0, (unit * int(cumulative[symbol]), unit * int(frequencies[symbol])))


@given(WEIGHTS)
@settings(deadline=None, max_examples=60)
def test_frequencies_sum_to_the_total_and_miss_no_symbol(weights: list[int]) -> None:
    frequencies = integer_frequencies(np.array(weights))
    assert frequencies.sum() == TOTAL and frequencies.min() >= 1
    by_weight = frequencies[np.lexsort((frequencies, weights))]
    assert (np.diff(by_weight) >= 0).all()


def test_no_shorter_code_decodes_to_the_same_symbols() -> None:
    rng = np.random.default_rng(0)
    for trial in range(600):
        frequencies = integer_frequencies(rng.integers(1, 1000, rng.integers(2, 9)))
        if trial % 3 == 0:  # the last symbol again and again drives the interval over carries
            frequencies = np.array([1, TOTAL - 2, 1])
        model = build_model(frequencies)
        symbols = rng.integers(0, len(frequencies), rng.integers(1, 20)).astype(np.int32)
        if trial % 6 == 0:
            symbols[:] = 2
        encoder = RangeEncoder()
        encoder.encode(symbols, model)
        code = encoded_bytes(encoder)
        assert np.array_equal(take(open_decoder(code), model, len(symbols)), symbols)
        if code:
            below = int.from_bytes(code[:-1], "big")
            for number in {below, min(below + 1, 256 ** (len(code) - 1) - 1)}:
                shorter = number.to_bytes(len(code) - 1, "big")
                with contextlib.suppress(BitstreamError):
                    assert not np.array_equal(take(open_decoder(shorter), model, len(symbols)), symbols)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40), st.integers(1, 300))
@settings(deadline=None, max_examples=80)
def test_escaped_values_come_back_at_their_stated_cost(values: list[int], alphabet_size: int) -> None:
    outside = np.array([v for v in values if not 0 <= v < alphabet_size], dtype=np.int32)
    encoder = RangeEncoder()
    if outside.size:
        encode_escaped(encoder, outside, alphabet_size)
    code = encoded_bytes(encoder)
    assert np.array_equal(decode_escaped(open_decoder(code), outside.size, alphabet_size), outside)
    assert len(code) <= escaped_bits(outside, alphabet_size) / 8 + 1.1


@given(st.lists(st.integers(0, 2**16), max_size=8))
def test_varints_come_back_and_never_read_past_their_limit(values: list[int]) -> None:
    data, offset = write_varints(values), 0
    for value in values:
        read, offset = read_varint(data, offset, 2**16)
        assert read == value
    assert offset == len(data)
    for bad in (b"", b"\xff", b"\xff" * 50, write_varints([2**16 + 1])):
        with pytest.raises(BitstreamError, match="transmit"):
            read_varint(bad, 0, 2**16)
