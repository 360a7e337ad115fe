"""Symbols that no table holds: Elias-gamma codes in the same range coder, after everything else."""

from typing import Any

import constriction
import numpy as np

from ..errors import BitstreamError
from .range_codec import TOTAL, build_model, take

__all__ = ["decode_escaped", "encode_escaped", "escaped_bits"]

_LENGTHS = 33
_LARGEST = (1 << 31) - 1


def _length_frequencies() -> np.ndarray:
    """Half of the probability for each length of what the shorter lengths leave, at least one unit each."""
    frequencies = np.maximum(TOTAL >> np.arange(1, _LENGTHS + 1), 1)
    frequencies[0] += TOTAL - frequencies.sum()
    return frequencies


_LENGTH_FREQUENCIES = _length_frequencies()
_LENGTH_MODEL = build_model(_LENGTH_FREQUENCIES)
_LENGTH_BITS = -np.log2(_LENGTH_FREQUENCIES / TOTAL)
_MANTISSA_BITS = np.append(np.arange(_LENGTHS - 1), 0)  # 2**32 is the only number of 33 bits
_UNIFORM = {bits: constriction.stream.model.Uniform(1 << bits) for bits in range(1, 17)}


def _to_positive(values: np.ndarray, alphabet_size: int) -> np.ndarray:
    """Numbers values outside 0..alphabet_size-1 from 1 on: odd at and above the alphabet, even below zero."""
    values = values.astype(np.int64)
    return np.where(values < 0, -2 * values, 2 * (values - alphabet_size) + 1)


def _lengths(numbers: np.ndarray) -> np.ndarray:
    """Returns the bits of each number less one; exact, because numbers up to 2**32 are exact as floats."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int32) - 1


def _chunks(bits: int) -> list[tuple[int, int]]:
    """Splits a mantissa into (shift, bits) parts of at most 16 bits."""
    return [(shift, min(16, bits - shift)) for shift in range(0, bits, 16)]


def encode_escaped(encoder: Any, values: np.ndarray, alphabet_size: int) -> None:
    """Appends values that lie outside 0..alphabet_size-1.

    Args:
        encoder: where to append.
        values: (n,) int32.
        alphabet_size: the number of symbols that tables hold.
    """
    numbers = _to_positive(values, alphabet_size)
    lengths = _lengths(numbers)
    encoder.encode(lengths, _LENGTH_MODEL)
    for length in np.unique(lengths):
        group = numbers[lengths == length]
        for shift, bits in _chunks(int(_MANTISSA_BITS[length])):
            encoder.encode((group >> shift & (1 << bits) - 1).astype(np.int32), _UNIFORM[bits])


def decode_escaped(decoder: Any, count: int, alphabet_size: int) -> np.ndarray:
    """Reads `count` values, (count,) int32.

    Raises:
        BitstreamError: a value is outside the range of int32, which no encoder writes.
    """
    lengths = take(decoder, _LENGTH_MODEL, count)
    numbers = np.left_shift(1, lengths.astype(np.int64))
    for length in np.unique(lengths):
        members = lengths == length
        for shift, bits in _chunks(int(_MANTISSA_BITS[length])):
            chunk = take(decoder, _UNIFORM[bits], int(members.sum())).astype(np.int64)
            numbers[members] |= chunk << shift
    values = np.where(numbers % 2 == 0, -(numbers // 2), numbers // 2 + alphabet_size)
    if values.size and int(values.max()) > _LARGEST:
        raise BitstreamError("the code holds a value that is no 32-bit integer: it is damaged; transmit it again")
    return values.astype(np.int32)


def escaped_bits(values: np.ndarray, alphabet_size: int) -> float:
    """Returns the bits that `encode_escaped` spends on the values."""
    lengths = _lengths(_to_positive(values, alphabet_size))
    return float((_LENGTH_BITS[lengths] + _MANTISSA_BITS[lengths]).sum())
