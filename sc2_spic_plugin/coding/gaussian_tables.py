"""Integer tables of Gaussians on a fixed grid of scales and means: constants, so they are shipped with no unit."""

import hashlib
import math
from functools import cache
from typing import Any

import numpy as np
from scipy.special import erfc

from ..errors import TableError
from .range_codec import build_model
from .tables import integer_frequencies

__all__ = [
    "FRACTIONS",
    "LEVELS",
    "gaussian_frequencies",
    "gaussian_model",
    "half_width",
    "level_of",
    "tables_digest",
]

FRACTIONS = 16
"""Means are rounded to sixteenths of a symbol."""
LEVELS = 64
"""Scales exp(-2.25), exp(-2.125), ... symbols: 0.105 to 278. The nearest one costs at most 0.006 bits a symbol more."""

_FIRST, _STEP = -2.25, 0.125
_MASS_UNITS = float(1 << 40)
_DIGEST = "8d4fb8981123e0890acd36c908e0d3c80d43a6fa99ece2969f843096fdb2f81d"


def level_of(log_scales: np.ndarray, one: int) -> np.ndarray:
    """Returns the nearest level of each log-scale.

    Args:
        log_scales: whole numbers, natural logarithms of scales in units of 1 / `one`.
        one: a multiple of 16.
    """
    step = int(one * _STEP)
    return np.clip((log_scales - int(one * _FIRST) + step // 2) // step, 0, LEVELS - 1)


def half_width(level: int) -> int:
    """Returns how far from the mean's whole part a symbol may lie to have a place in the table: six scales."""
    return math.ceil(6 * math.exp(_FIRST + level * _STEP)) + 1


@cache
def gaussian_frequencies(level: int, fraction: int) -> np.ndarray:
    """Returns the frequencies of one table, (2 w + 2,) int32 for the half width w, summing to 2**24.

    Column c stands for the mean's whole part plus c - w, the last one for every other symbol.
    """
    width, scale = half_width(level), math.exp(_FIRST + level * _STEP)
    edges = (np.arange(-width, width + 2) - 0.5 - fraction / FRACTIONS) / (scale * math.sqrt(2))
    below = 0.5 * erfc(-edges)
    inside = np.rint(np.diff(below) * _MASS_UNITS)
    outside = np.rint((1.0 - (below[-1] - below[0])) * _MASS_UNITS)
    return integer_frequencies(np.append(inside, max(outside, 0.0)).astype(np.int64))


@cache
def gaussian_model(level: int, fraction: int) -> Any:
    """Returns the range coder's model of one table.

    Raises:
        TableError: this machine computes other tables than all others.
    """
    _check()
    return build_model(gaussian_frequencies(level, fraction))


def tables_digest() -> str:
    """Returns the SHA-256 (hex) over all tables as this machine computes them."""
    digest = hashlib.sha256()
    for level in range(LEVELS):
        for fraction in range(FRACTIONS):
            digest.update(gaussian_frequencies(level, fraction).astype("<i4").tobytes())
    return digest.hexdigest()


@cache
def _check() -> None:
    if tables_digest() != _DIGEST:
        raise TableError(
            "this machine's erfc gives other Gaussian tables than those that codes are made with, so nothing coded "
            "elsewhere could be decoded: install another build of scipy, or use `coder: static`"
        )
