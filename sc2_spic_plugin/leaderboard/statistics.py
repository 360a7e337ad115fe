"""Statistics of the comparison: bootstrap intervals, the Pareto front, the rate needed for an accuracy."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError

__all__ = [
    "TIE",
    "Interval",
    "Measured",
    "Summary",
    "bootstrap_interval",
    "bpp_at_accuracy",
    "pareto_front",
    "resampled_sums",
    "summarise",
]


TIE = 1e-9
"""Percentage points by which an accuracy may miss another and still reach it: 64.4 - 1 is above 63.4 in float64."""


class RatePoint(Protocol):
    """Anything with a rate and an accuracy."""

    @property
    def bpp(self) -> float | None: ...

    @property
    def accuracy(self) -> float: ...


P = TypeVar("P", bound=RatePoint)


class Measured(NamedTuple):
    """A rate in bits per image pixel and the accuracy in percent that it gives."""

    bpp: float
    accuracy: float


class Interval(NamedTuple):
    """Ends of a confidence interval."""

    low: float
    high: float


class Summary(NamedTuple):
    """Location and spread of one measured quantity."""

    mean: float
    median: float
    std: float
    low: float
    high: float
    samples: int


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError("Statistics need at least one value, all of them finite.")
    return array


def summarise(values: ArrayLike) -> Summary:
    """Returns mean, median, standard deviation (n - 1; 0 for one value), minimum, maximum and count."""
    array = _finite(values)
    std = float(array.std(ddof=1)) if array.size > 1 else 0.0
    return Summary(
        float(array.mean()), float(np.median(array)), std, float(array.min()), float(array.max()), array.size
    )


def bootstrap_interval(values: ArrayLike, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Returns the percentile bootstrap interval of the mean over images.

    The result does not depend on the order of the images.

    Args:
        values: one value per image, for example 100 * correct.
        level: confidence level, between 0 and 1.
        resamples: bootstrap samples.
        seed: of the generator made here; no global state is touched.

    Raises:
        DataError: no values, one that is not finite, or a level outside (0, 1).
    """
    array = _finite(values)
    if not 0 < level < 1 or resamples < 1:
        raise DataError(f"A bootstrap needs a level between 0 and 1 and a resample or more: {level}, {resamples}.")
    means = [sums[:, 0] / array.size for sums in resampled_sums(array[:, None], resamples, seed)]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def resampled_sums(values: NDArray, resamples: int = 2000, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """Yields the column sums of images drawn with replacement, as many as there are, in chunks of resamples.

    Drawing n images is a multinomial draw over the distinct rows, so 50,000 right-or-wrong answers cost two counts per
    resample. The result does not depend on the order of the images.

    Args:
        values: (N, K), one row per image.
        resamples: bootstrap samples.
        seed: of the generator made here; no global state is touched.

    Yields:
        (R, K), the R of all chunks adding up to `resamples`.
    """
    distinct, counts = np.unique(values, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    chunk = max(1, 4_000_000 // len(distinct))
    for start in range(0, resamples, chunk):
        draws = generator.multinomial(len(values), counts / len(values), size=min(chunk, resamples - start))
        yield draws.astype(np.float64) @ distinct.astype(np.float64)


def pareto_front(points: Iterable[P]) -> list[P]:
    """Returns the points that no other beats, by ascending rate; accuracy ascends strictly along them.

    Of several points with the same rate and accuracy the first is kept; points without a rate are left out.
    """
    rated = [point for point in points if point.bpp is not None]
    front: list[P] = []
    for point in sorted(rated, key=lambda p: (p.bpp or 0.0, -p.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def bpp_at_accuracy(points: Sequence[RatePoint], accuracy: float, clamp: bool = True) -> float | None:
    """Returns the rate at which a method reaches an accuracy, interpolated along its Pareto front.

    Linear in log rate between neighbours, never extrapolated, and never falling as the accuracy asked for rises.

    Args:
        points: one method's points.
        accuracy: percent.
        clamp: below the front's lowest accuracy, return the lowest measured rate (an upper bound) instead of None.

    Returns:
        Bits per image pixel, or None where no point reaches the accuracy.
    """
    front = pareto_front(points)
    if not front or accuracy > front[-1].accuracy + TIE:
        return None
    if accuracy <= front[0].accuracy + TIE:
        return front[0].bpp if clamp or accuracy >= front[0].accuracy - TIE else None
    rates = [float(point.bpp or 0.0) for point in front]
    upper = next(index for index, point in enumerate(front) if point.accuracy >= accuracy - TIE)
    below, above = front[upper - 1].accuracy, front[upper].accuracy
    share = min(1.0, (accuracy - below) / (above - below))
    if rates[upper - 1] <= 0:  # no logarithm: linear in rate
        return rates[upper] * share
    if share == 1:
        return rates[upper]
    return math.exp((1 - share) * math.log(rates[upper - 1]) + share * math.log(rates[upper]))
