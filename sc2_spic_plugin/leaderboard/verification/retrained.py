"""A point trained again: whether accuracy and rate lie within the spread that the committed curve states."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import DataError
from ..results import Origin, Point, Source
from ..statistics import Interval, summarise

__all__ = ["RetrainedCheck", "check_retrained", "prediction_interval"]

LEVEL = 0.95
_ROUNDING = 1e-9


class Judgement(NamedTuple):
    """One figure of the point.

    Attributes:
        name: what it is, with its unit.
        committed: as committed.
        retrained: of the new training.
        interval: where it must lie; None: it is not judged.
        basis: what the interval is, or why there is none.
    """

    name: str
    committed: float
    retrained: float
    interval: Interval | None
    basis: str

    @property
    def holds(self) -> bool:
        """Whether it lies in the interval, or is not judged."""
        if self.interval is None:
            return True
        slack = _ROUNDING * max(1.0, abs(self.committed))
        return self.interval.low - slack <= self.retrained <= self.interval.high + slack

    def __str__(self) -> str:
        """Returns the figure with its interval."""
        text = f"{self.name}: {self.committed:.5g} committed, {self.retrained:.5g} now"
        if self.interval is None:
            relative = f", {self.retrained / self.committed - 1:+.1%}" if self.committed else ""
            return f"{text}{relative}; not judged: {self.basis}"
        place = "within" if self.holds else "OUTSIDE"
        return f"{text}; {place} {self.interval.low:.5g} to {self.interval.high:.5g}, {self.basis}"


@dataclass(frozen=True)
class RetrainedCheck:
    """What became of a point that was trained again."""

    judgements: Sequence[Judgement]

    @property
    def holds(self) -> bool:
        """Whether every figure that is judged lies in its interval, and one is."""
        return all(each.holds for each in self.judgements) and any(each.interval for each in self.judgements)

    def lines(self) -> list[str]:
        """Returns what a reader is told."""
        told = [str(judgement) for judgement in self.judgements]
        if not any(each.interval for each in self.judgements):
            told.append("nothing could be judged, so nothing is verified; the committed curve needs further seeds")
        return told


def check_retrained(sources: Sequence[Source], origin: Origin, retrained: Point) -> RetrainedCheck:
    """Judges a new training of a committed point.

    Where the curve has several seeds of the unit, accuracy and bpp must lie in the prediction interval of one further
    seed. A single seed says nothing of the spread of trainings: accuracy must then lie in the point's bootstrap
    interval over images, and bpp is not judged.

    Args:
        sources: all results, among them further files of the curve, whose points were made by other code.
        origin: the committed point.
        retrained: the point of the new training.

    Raises:
        DataError: a single seed, and no bootstrap interval.
    """
    point, seeds = origin.point, _seeds(sources, origin)
    return RetrainedCheck([_accuracy(point, seeds, retrained), *_rate(point, seeds, retrained)])


def prediction_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Returns where one further draw lies: mean ± t (n - 1 degrees of freedom) · s · sqrt(1 + 1/n), for normal draws.

    Args:
        values: n ≥ 2 draws.
        level: how surely, between 0 and 1.

    Raises:
        DataError: fewer than two draws.
    """
    from scipy.stats import t

    found = summarise(values)
    if found.samples < 2:
        raise DataError("one value says nothing of the spread; train the point with a second seed.")
    half = float(t.ppf((1 + level) / 2, found.samples - 1)) * found.std * math.sqrt(1 + 1 / found.samples)
    return Interval(found.mean - half, found.mean + half)


def _accuracy(point: Point, seeds: Sequence[Point], retrained: Point) -> Judgement:
    name = "top-1 %" if point.top1 is not None else "mIoU %"
    values = [seed.accuracy for seed in seeds]
    if len(set(values)) > 1:
        return _judged_by_seeds(name, point.accuracy, retrained.accuracy, values, seeds, Interval(0.0, 100.0))
    if point.confidence_low is None or point.confidence_high is None:
        raise DataError(
            f"the committed point `{point.unit}` has one seed and no bootstrap interval, so nothing says how far a new "
            "training may be; measure it again with `sc2-spic bench`."
        )
    interval = Interval(point.confidence_low, point.confidence_high)
    basis = f"{LEVEL:.0%} bootstrap interval over images; the spread of trainings is not in it"
    return Judgement(name, point.accuracy, retrained.accuracy, interval, basis)


def _rate(point: Point, seeds: Sequence[Point], retrained: Point) -> list[Judgement]:
    if point.bpp is None or retrained.bpp is None:
        return []
    values = [seed.bpp for seed in seeds if seed.bpp is not None]
    if len(set(values)) > 1:
        return [_judged_by_seeds("bpp", point.bpp, retrained.bpp, values, seeds, Interval(0.0, math.inf))]
    return [Judgement("bpp", point.bpp, retrained.bpp, None, "one seed says nothing of the spread of trainings")]


def _judged_by_seeds(
    name: str, committed: float, retrained: float, values: Sequence[float], seeds: Sequence[Point], possible: Interval
) -> Judgement:
    """Judges a figure by the spread over seeds, unless they spread so far that nothing could lie outside."""
    found, basis = prediction_interval(values), _basis(seeds)
    interval = Interval(max(found.low, possible.low), min(found.high, possible.high))
    if interval == possible:
        return Judgement(name, committed, retrained, None, f"nothing can lie outside the {basis}")
    return Judgement(name, committed, retrained, interval, basis)


def _basis(seeds: Sequence[Point]) -> str:
    listed = ", ".join(str(seed.seed) for seed in seeds)
    freedom = f"{len(seeds) - 1} degree{'' if len(seeds) == 2 else 's'} of freedom"
    return f"{LEVEL:.0%} prediction interval of one further seed from seeds {listed} (t, {freedom})"


def _seeds(sources: Sequence[Source], origin: Origin) -> list[Point]:
    """Returns all seeds of the point's unit, those of further files of the curve (`CURVE@2.json`) too."""
    own = origin.source

    def belongs(other: Source) -> bool:
        mine, theirs = own.result.meta, other.result.meta
        return (
            other.result.name == own.result.name
            and (other.path is None or own.path is None or other.path.parent == own.path.parent)
            and (mine.network_sha256, mine.protocol_sha256) == (theirs.network_sha256, theirs.protocol_sha256)
        )

    files = [own, *(each for each in sources if each is not own and belongs(each))]
    points = [point for file in files for point in file.result.points if point.unit == origin.point.unit]
    by_seed = {point.seed: point for point in reversed(points)}
    return [by_seed[seed] for seed in sorted(by_seed, key=lambda seed: -1 if seed is None else seed)]
