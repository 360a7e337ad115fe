"""Bjøntegaard deltas between two measured curves, interpolated by the `bjontegaard` package.

PCHIP keeps a rising curve rising. Akima, which that package prefers, does not: between a steep first segment and a
plateau it falls below the lowest rate that was measured, which can turn the sign of a delta round. It stands beside it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.interpolate import PchipInterpolator, PPoly

from ..statistics import RatePoint, pareto_front

__all__ = ["Delta", "LogRate", "bjontegaard_delta", "log_rate", "rate_difference"]

LEAST_POINTS = 2
"""Points of a front that a curve can be drawn through."""

_TOO_STEEP = "two neighbours of a front are so close that the interpolation between them overflows"


class Overlap(NamedTuple):
    """Where both curves are defined, and which share of where either is."""

    low: float
    high: float
    share: float


class Delta(NamedTuple):
    """How one curve compares with an anchor; None with a reason where that is not defined.

    Attributes:
        rate_percent: mean rate difference at equal accuracy; -50 is half the bits.
        rate_percent_akima: the same by Akima interpolation.
        accuracy_points: mean accuracy difference at equal rate, percentage points.
        overlap_accuracy: percent, where the rates are compared.
        overlap_bpp: bits per image pixel, where the accuracies are compared; its share is that of the logarithm.
        points: of this curve and of the anchor, on their Pareto fronts.
        dropped: points of this curve and of the anchor that were not, and were left out.
        rate_reason: why there is no rate difference.
        accuracy_reason: why there is no accuracy difference.
    """

    rate_percent: float | None
    rate_percent_akima: float | None
    accuracy_points: float | None
    overlap_accuracy: Overlap | None
    overlap_bpp: Overlap | None
    points: tuple[int, int]
    dropped: tuple[int, int]
    rate_reason: str | None
    accuracy_reason: str | None


class _Interpolation(Protocol):
    def __call__(
        self, a: list[float], b: list[float], c: list[float], d: list[float], method: str, **options: object
    ) -> float: ...


def bjontegaard_delta(points: Sequence[RatePoint], anchor: Sequence[RatePoint]) -> Delta:
    """Compares a curve with an anchor over the range that both reach, never outside it.

    Both are first cut down to their Pareto fronts, where rate and accuracy rise together; a front of two points is
    interpolated linearly. Rates enter as logarithms.

    Args:
        points: of the curve.
        anchor: of the curve it is compared with.
    """
    import bjontegaard

    fronts = [_front(points), _front(anchor)]
    counts = (len(fronts[0]), len(fronts[1]))
    dropped = (len(points) - counts[0], len(anchor) - counts[1])
    if min(counts) < LEAST_POINTS:
        which = "the curve" if counts[0] < LEAST_POINTS else "the anchor"
        reason = f"{which} has {min(counts)} point{'s' * (min(counts) != 1)} on its front, a delta needs {LEAST_POINTS}"
        return Delta(None, None, None, None, None, counts, dropped, reason, reason)
    (rates, values), (anchor_rates, anchor_values) = (
        ([float(point.bpp or 0.0) for point in front], [point.accuracy for point in front]) for front in fronts
    )
    accuracy = _overlap(values, anchor_values)
    logarithm = _overlap([math.log(rate) for rate in rates], [math.log(rate) for rate in anchor_rates])
    bpp = logarithm and Overlap(math.exp(logarithm.low), math.exp(logarithm.high), logarithm.share)
    curves = (anchor_rates, anchor_values, rates, values)

    def of(function: _Interpolation, method: str = "pchip") -> float | None:
        with np.errstate(over="ignore"):
            value = float(function(*curves, method=method, require_matching_points=False, min_overlap=0))
        return value if math.isfinite(value) else None

    rate_percent = of(bjontegaard.bd_rate) if accuracy else None
    akima = of(bjontegaard.bd_rate, "akima") if accuracy else None
    accuracy_points = of(bjontegaard.bd_psnr) if bpp else None
    return Delta(
        rate_percent,
        akima,
        accuracy_points,
        accuracy,
        bpp,
        counts,
        dropped,
        None if rate_percent is not None else _TOO_STEEP if accuracy else "no accuracy is reached by both",
        None if accuracy_points is not None else _TOO_STEEP if bpp else "no rate is spent by both",
    )


class LogRate(NamedTuple):
    """The logarithm of a front's rate over accuracy: where it is defined, and its antiderivative."""

    low: float
    high: float
    integral: PPoly


def log_rate(front: Sequence[RatePoint]) -> LogRate | None:
    """Returns what a rate difference integrates, once for many differences; None for a front of one point."""
    if len(front) < LEAST_POINTS:
        return None
    values = [point.accuracy for point in front]
    spline = PchipInterpolator(values, [math.log(point.bpp or 0.0) for point in front])
    return LogRate(values[0], values[-1], spline.antiderivative())


def rate_difference(mine: LogRate | None, anchor: LogRate | None) -> float | None:
    """Returns `Delta.rate_percent` of two fronts; None where it is not defined."""
    if mine is None or anchor is None:
        return None
    low, high = max(mine.low, anchor.low), min(mine.high, anchor.high)
    if high <= low:
        return None
    areas = [float(each.integral(high) - each.integral(low)) for each in (mine, anchor)]
    with np.errstate(over="ignore"):
        value = 100 * float(np.expm1((areas[0] - areas[1]) / (high - low)))
    return value if math.isfinite(value) else None


def _front(points: Sequence[RatePoint]) -> list[RatePoint]:
    return [point for point in pareto_front(points) if point.bpp]


def _overlap(mine: Sequence[float], theirs: Sequence[float]) -> Overlap | None:
    low, high = max(min(mine), min(theirs)), min(max(mine), max(theirs))
    if high <= low:
        return None
    return Overlap(low, high, (high - low) / (max(*mine, *theirs) - min(*mine, *theirs)))
