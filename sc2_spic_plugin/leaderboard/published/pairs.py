"""Which point of a published curve is which released unit: the figures do not say, so the nearest rates are paired."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .curve import PublishedCurve
from .unit import UnitFacts

__all__ = ["Pair", "pair_with_units"]


class Pair(NamedTuple):
    """A published point and the unit whose expected rate is nearest.

    Attributes:
        bpp: published bits per image pixel.
        accuracy: published accuracy, percent.
        gap: published rate over the expected one of the released coder in whole bytes, less 1.
    """

    bpp: float
    accuracy: float
    gap: float


def pair_with_units(curve: PublishedCurve, units: Sequence[UnitFacts], pixels: int) -> Mapping[str, Pair]:
    """Pairs the points of a curve with units, each once: the sum of squared log rate ratios is least, order is kept.

    Args:
        curve: as published.
        units: those that the curve may be of.
        pixels: image pixels that bits are divided by.

    Returns:
        The pair of each unit by its name; a unit or a point that is left over has none.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    expected = np.array([unit.huffman_bytes * 8 / pixels for unit in units])
    published = np.array(curve.bpp)
    ratios = np.log(published[None, :] / expected[:, None])
    rows, columns = linear_sum_assignment(ratios**2)
    return {
        units[row].name: Pair(curve.bpp[column], curve.accuracy[column], math.expm1(ratios[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }
