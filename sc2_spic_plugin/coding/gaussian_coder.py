"""Symbols of which each has a Gaussian of its own, in the range coder that all tables share.

compressai's `GaussianConditional` is not called: a unit's symbols are whole before a mean is known, and it codes
rounded differences to the mean, so whole symbols would need whole means, and more bits (a test compares the two). Nor
can it append to the code of the hyper-latent, and two strings of a few bytes each would be padded twice.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .escape import decode_escaped, encode_escaped, escaped_bits
from .gaussian_tables import FRACTIONS, gaussian_frequencies, gaussian_model, half_width
from .range_codec import PRECISION, take

__all__ = ["Gaussians", "decode_gaussian", "encode_gaussian", "gaussian_code_bits"]


class Gaussians(NamedTuple):
    """What each of n symbols is expected to be, in whole numbers, so that sender and receiver agree to the bit."""

    levels: np.ndarray
    """(n,) int64: scales, 0..LEVELS-1."""
    means: np.ndarray
    """(n,) int64: means in sixteenths of a symbol."""

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the whole part of each mean, and which table codes what is left, level * 16 + fraction."""
        return self.means // FRACTIONS, self.levels * FRACTIONS + self.means % FRACTIONS

    def runs(self) -> Iterator[tuple[np.ndarray, int, int]]:
        """Yields which symbols each table codes: their indices, level and fraction; in the order of the code."""
        tables = self.parts()[1]
        order = np.argsort(tables, kind="stable")
        starts = np.flatnonzero(np.diff(tables[order], prepend=-1))
        for members in np.split(order, starts[1:]) if order.size else ():
            yield members, *divmod(int(tables[members[0]]), FRACTIONS)


def encode_gaussian(encoder: Any, symbols: np.ndarray, gaussians: Gaussians) -> None:
    """Appends symbols, table after table, and then those too far from their means for a table.

    Args:
        encoder: where to append.
        symbols: (n,) int32.
        gaussians: of the symbols.
    """
    distances = _distances(symbols, gaussians)
    escaped = []
    for members, level, fraction in gaussians.runs():
        columns, beyond = _columns(distances[members], level)
        encoder.encode(columns, gaussian_model(level, fraction))
        escaped.append(members[beyond])
    far = np.concatenate([*escaped, np.empty(0, dtype=np.int64)]).astype(np.int64)
    if far.size:
        encode_escaped(encoder, distances[far].astype(np.int32), 0)


def decode_gaussian(decoder: Any, gaussians: Gaussians) -> np.ndarray:
    """Reads what `encode_gaussian` appended, (n,) int32.

    Raises:
        BitstreamError: the bytes are not a code of these symbols.
    """
    distances = np.empty(len(gaussians.levels), dtype=np.int64)
    escaped = []
    for members, level, fraction in gaussians.runs():
        width = half_width(level)
        columns = take(decoder, gaussian_model(level, fraction), len(members))
        distances[members] = columns - width
        escaped.append(members[columns == 2 * width + 1])
    far = np.concatenate([*escaped, np.empty(0, dtype=np.int64)]).astype(np.int64)
    if far.size:
        distances[far] = decode_escaped(decoder, far.size, 0)
    return (distances + gaussians.parts()[0]).astype(np.int32)


def gaussian_code_bits(symbols: np.ndarray, gaussians: Gaussians) -> float:
    """Returns the code length of (n,) int32 symbols in bits, escapes included."""
    distances, bits = _distances(symbols, gaussians), 0.0
    for members, level, fraction in gaussians.runs():
        columns, beyond = _columns(distances[members], level)
        bits += float((PRECISION - np.log2(gaussian_frequencies(level, fraction)[columns])).sum())
        bits += escaped_bits(distances[members[beyond]], 0) if beyond.any() else 0.0
    return bits


def _distances(symbols: np.ndarray, gaussians: Gaussians) -> np.ndarray:
    """Returns how far symbols are from the whole parts of their means, int64.

    It wraps around at 32 bits, as the sum in `decode_gaussian` does, so that every 32-bit symbol comes back.
    """
    return (symbols.astype(np.int64) - gaussians.parts()[0]).astype(np.int32).astype(np.int64)


def _columns(distances: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the column of each symbol in its table, and which of them is the escape."""
    width = half_width(level)
    beyond = np.abs(distances) > width
    return np.where(beyond, 2 * width + 1, distances + width).astype(np.int32), beyond
