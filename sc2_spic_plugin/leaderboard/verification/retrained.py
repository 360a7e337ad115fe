"""A point trained again: whether accuracy and rate lie within the spread that the committed curve states."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import DataError
from ..results import Origin, Point, Source, image_table
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
        interval: where the judged one of the two must lie; None: it cannot be judged.
        basis: what the interval is, or why there is none.
        judged: `committed`, by an interval that it has no part in, or `retrained`.
    """

    name: str
    committed: float
    retrained: float
    interval: Interval | None
    basis: str
    judged: str = "retrained"

    @property
    def is_same(self) -> bool:
        """Whether the training gave the figure again."""
        return abs(self.retrained - self.committed) <= self._slack

    @property
    def holds(self) -> bool:
        """Whether the figure came out again, or lies in the interval."""
        if self.is_same or self.interval is None:
            return self.is_same
        value = self.committed if self.judged == "committed" else self.retrained
        return self.interval.low - self._slack <= value <= self.interval.high + self._slack

    @property
    def _slack(self) -> float:
        return _ROUNDING * max(1.0, abs(self.committed))

    def __str__(self) -> str:
        """Returns the figure with its interval."""
        text = f"{self.name}: {self.committed:.5g} committed, {self.retrained:.5g} now"
        if self.is_same:
            return f"{text}, the same"
        if self.interval is None:
            relative = f", {self.retrained / self.committed - 1:+.1%}" if self.committed else ""
            return f"{text}{relative}; NOT JUDGED: {self.basis}"
        place = "within" if self.holds else "OUTSIDE"
        return f"{text}; {self.judged} one {place} {self.interval.low:.5g} to {self.interval.high:.5g}, {self.basis}"


@dataclass(frozen=True)
class RetrainedCheck:
    """What became of a point that was trained again."""

    judgements: Sequence[Judgement]

    @property
    def holds(self) -> bool:
        """Whether every figure came out again or lies in its interval; one that cannot be judged does not hold."""
        return all(each.holds for each in self.judgements)

    def lines(self) -> list[str]:
        """Returns what a reader is told."""
        told = [str(judgement) for judgement in self.judgements]
        if any(each.interval is None and not each.is_same for each in self.judgements):
            told.append("what cannot be judged is not verified: commit further seeds, or verify with the checkpoint")
        return told


def check_retrained(sources: Sequence[Source], origin: Origin, retrained: Point) -> RetrainedCheck:
    """Judges a new training of a committed point.

    A figure that comes out again holds. Where it does not and the curve has several seeds of the unit, the committed
    figure must lie in the prediction interval made of the other seeds and the new training, in which it has no part. A
    single seed says nothing of the spread of trainings: the new accuracy must then lie in the bootstrap interval over
    the images of the committed table, and bpp is not judged.

    Args:
        sources: all results, among them further files of the curve, whose points were made by other code.
        origin: the committed point.
        retrained: the point of the new training.

    Raises:
        DataError: a single seed, and no per-image table.
    """
    others = [point for point in _seeds(sources, origin) if point.seed != origin.point.seed]
    return RetrainedCheck([_accuracy(origin, others, retrained), *_rate(origin.point, others, retrained)])


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


def _accuracy(origin: Origin, others: Sequence[Point], retrained: Point) -> Judgement:
    point = origin.point
    name = "top-1 %" if point.top1 is not None else "mIoU %"
    values = [*(other.accuracy for other in others), retrained.accuracy]
    if others:
        return _judged_by_seeds(name, point.accuracy, values, others, Interval(0.0, 100.0))
    table = image_table(origin)
    if table is None:
        raise DataError(
            f"the committed point `{point.unit}` has one seed and no per-image table, so nothing says how far a new "
            "training may be; measure it again with `sc2-spic bench`."
        )
    basis = f"{LEVEL:.0%} bootstrap interval over the committed images; the spread of trainings is not in it"
    return Judgement(name, point.accuracy, retrained.accuracy, table.interval(), basis)


def _rate(point: Point, others: Sequence[Point], retrained: Point) -> list[Judgement]:
    if point.bpp is None or retrained.bpp is None:
        return []
    values = [*(other.bpp for other in others if other.bpp is not None), retrained.bpp]
    if len(values) > 1:
        return [_judged_by_seeds("bpp", point.bpp, values, others, Interval(0.0, math.inf))]
    return [Judgement("bpp", point.bpp, retrained.bpp, None, "one seed says nothing of the spread of trainings")]


def _judged_by_seeds(
    name: str, committed: float, values: Sequence[float], others: Sequence[Point], possible: Interval
) -> Judgement:
    """Judges a committed figure by the spread over other trainings, unless nothing could lie outside."""
    found, basis = prediction_interval(values), _basis(others)
    interval = Interval(max(found.low, possible.low), min(found.high, possible.high))
    if interval == possible:
        return Judgement(name, committed, values[-1], None, f"nothing can lie outside the {basis}")
    return Judgement(name, committed, values[-1], interval, basis, "committed")


def _basis(others: Sequence[Point]) -> str:
    listed = f"seed{'s' if len(others) > 1 else ''} {', '.join(str(other.seed) for other in others)}"
    freedom = f"{len(others)} degree{'s' if len(others) > 1 else ''} of freedom"
    return f"{LEVEL:.0%} prediction interval of one further training from {listed} and the new one (t, {freedom})"


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
