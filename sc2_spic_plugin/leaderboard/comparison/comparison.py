"""Every method of a group against chosen anchors: rate at a drop in accuracy, Bjøntegaard deltas, device and link."""

from collections.abc import Sequence
from typing import NamedTuple

from ...errors import ConfigError, DataError, nearest
from ..results import Curve, CurvePoint, Group, Source, build_curves, grouped
from ..statistics import TIE, Interval, bpp_at_accuracy
from ..styles import ORIGINAL_METHOD, UNCODED_METHODS
from .bjontegaard_delta import Delta, bjontegaard_delta
from .intervals import DeltaInterval, RateInterval, delta_interval, rate_interval
from .redrawn import Redrawn, redraw
from .tradeoff import three_way_front

__all__ = [
    "DEFAULT_AGAINST",
    "DROPS",
    "ORIGINAL_TOLERANCE",
    "Against",
    "Comparison",
    "RateAt",
    "compare",
    "compare_all",
]

DROPS = (1.0, 2.0, 5.0)
"""Percentage points below the original network at which rates are stated."""

DEFAULT_AGAINST = ("spic_l1", "entropic_student", "jpeg")

ORIGINAL_TOLERANCE = 5e-3
"""Percent, between two measurements of one network on the same images."""


class RateAt(NamedTuple):
    """The rate at which a curve reaches an accuracy.

    Attributes:
        bpp: bits per image pixel; None where the accuracy is never reached.
        is_bound: the curve's lowest point is better already, so this is its rate, an upper bound.
        interval: 95 % interval over images, the original network measured on the same ones; None where there are no
            per-image tables.
    """

    bpp: float | None
    is_bound: bool
    interval: RateInterval | None = None


class Against(NamedTuple):
    """A curve compared with an anchor.

    Attributes:
        curve: the curve.
        anchor: what it is compared with.
        delta: Bjøntegaard deltas of the means over seeds.
        interval: 95 % interval of the rate difference over images, paired, and why there is none.
        seeds: least and greatest rate difference over the curve's seeds; None with fewer than two.
        ratios: how many times the bits the anchor needs at each of `DROPS`; None where either does not reach it or one
            of the two is only known by a bound.
    """

    curve: Curve
    anchor: Curve
    delta: Delta
    interval: DeltaInterval
    seeds: Interval | None
    ratios: tuple[float | None, ...]


class Comparison(NamedTuple):
    """All that is compared within one group.

    Attributes:
        group: task, protocol, data set and network.
        curves: every curve, in the order of tables.
        original: accuracy of the original network in percent, or None where it is not among the results.
        against: one entry per curve and anchor.
        excluded: curves that are not compared, with the reason.
        missing: anchors asked for that this group lacks.
        three_way: points that no other beats in encoder size, rate and accuracy at once.
        rates: per curve, its rate at each of `DROPS`; None without an original or a rate.
    """

    group: Group
    curves: list[Curve]
    original: float | None
    against: list[Against]
    excluded: list[tuple[Curve, str]]
    missing: list[str]
    three_way: list[CurvePoint]
    rates: list[tuple[RateAt | None, ...]]


def compare_all(sources: Sequence[Source], against: Sequence[str] | None = None) -> list[Comparison]:
    """Compares the results of each group; see `compare`.

    Raises:
        ConfigError: an anchor that no result is of.
        DataError: results that contradict each other.
    """
    known = {source.result.meta.method for source in sources}
    for method in against or ():
        if method not in known:
            raise ConfigError(f"no result is of method `{method}`. {nearest(method, known)}")
    groups = grouped((source.result, source) for source in sources)
    return [compare(group, members, against) for group, members in groups.items()]


def compare(group: Group, sources: Sequence[Source], against: Sequence[str] | None = None) -> Comparison:
    """Compares every curve of a group with the curves of the methods `against`.

    Where an anchor's method has several curves, each curve is compared with those of its own split and supervision,
    else of its own split, else with all.

    Args:
        group: what the results share.
        sources: results of that group alone.
        against: methods; None takes those of `DEFAULT_AGAINST` that are there.

    Raises:
        DataError: two results of the original network disagree.
    """
    curves = build_curves(sources)
    original = _original(curves)
    comparable = [curve for curve in curves if curve.competes]
    methods = list(DEFAULT_AGAINST if against is None else against)
    pairs = [
        (curve, anchor)
        for method in methods
        for curve in comparable
        for anchor in anchors_of(curve, method, comparable)
    ]
    there = {curve.meta.method for curve in comparable}
    redrawn = redraw(curves)
    of_curve = {id(curve): each for curve, each in zip(curves, redrawn, strict=True)}
    return Comparison(
        group,
        curves,
        original,
        [
            _against(curve, anchor, original, delta_interval(of_curve[id(curve)], of_curve[id(anchor)]))
            for curve, anchor in pairs
        ],
        [(curve, _why_not(curve)) for curve in curves if not curve.competes],
        [] if against is None else [method for method in methods if method not in there],
        three_way_front([point for curve in comparable for point in curve.points]),
        _rates(curves, redrawn, original),
    )


def anchors_of(curve: Curve, method: str, curves: Sequence[Curve]) -> list[Curve]:
    """Returns the curves of a method that a curve is compared with, itself never among them."""
    candidates = [each for each in curves if each.meta.method == method]
    if curve in candidates:
        return []
    mine = (curve.meta.cut, curve.meta.supervision)
    same = [each for each in candidates if (each.meta.cut, each.meta.supervision) == mine]
    return same or [each for each in candidates if each.meta.cut == curve.meta.cut] or candidates


def rate_at(curve: Curve, accuracy: float) -> RateAt | None:
    """Returns the rate at which a curve reaches an accuracy, along its front, linear in log rate, never extrapolated.

    Returns:
        None for a curve that has no rate at all.
    """
    if not curve.front:
        return None
    return RateAt(bpp_at_accuracy(curve.points, accuracy), accuracy < curve.front[0].accuracy - TIE)


def _rates(
    curves: Sequence[Curve], redrawn: Sequence[Redrawn | str], original: float | None
) -> list[tuple[RateAt | None, ...]]:
    """Returns for each curve its rate at each drop, with the interval over images."""
    if original is None:
        return [(None,) * len(DROPS) for _ in curves]
    pairs = list(zip(curves, redrawn, strict=True))
    tops = [draws for curve, draws in pairs if curve.meta.method == ORIGINAL_METHOD and isinstance(draws, Redrawn)]
    rates = []
    for curve, draws in pairs:
        top = next((top for top in tops if isinstance(draws, Redrawn) and draws.images == top.images), None)
        found = []
        for drop in DROPS:
            at = rate_at(curve, original - drop)
            interval = None if at is None or top is None else rate_interval(draws, top.accuracy[0], drop)
            found.append(at and at._replace(interval=interval))
        rates.append(tuple(found))
    return rates


def _against(curve: Curve, anchor: Curve, original: float | None, interval: DeltaInterval) -> Against:
    seeds = curve.common_seeds
    deltas = [bjontegaard_delta(curve.of_seed(seed), anchor.points).rate_percent for seed in seeds]
    known = [delta for delta in deltas if delta is not None]
    ratios: list[float | None] = []
    for drop in DROPS:
        mine, theirs = (None if original is None else rate_at(each, original - drop) for each in (curve, anchor))
        known_rates = mine and theirs and mine.bpp and theirs.bpp and not (mine.is_bound or theirs.is_bound)
        ratios.append(theirs.bpp / mine.bpp if known_rates else None)  # type: ignore[union-attr,operator]
    return Against(
        curve,
        anchor,
        bjontegaard_delta(curve.points, anchor.points),
        interval,
        Interval(min(known), max(known)) if len(known) == len(seeds) > 1 else None,
        tuple(ratios),
    )


def _original(curves: Sequence[Curve]) -> float | None:
    found = [point for curve in curves if curve.meta.method == ORIGINAL_METHOD for point in curve.points]
    values = [point.accuracy for point in found]
    if values and max(values) - min(values) > ORIGINAL_TOLERANCE:
        files = sorted({str(o.source.path or o.source.result.name) for point in found for o in point.origins})
        raise DataError(
            f"{' and '.join(files)} contradict each other: the original network reaches {min(values)} % and "
            f"{max(values)} % under one protocol. Keep the one that you can measure again."
        )
    return values[0] if values else None


def _why_not(curve: Curve) -> str:
    if curve.meta.method in UNCODED_METHODS:
        return "nothing is sent"
    if curve.style.reference:
        return "a reference"
    if curve.meta.bypassed:
        return "bits past the cut are not counted"
    return f"bits are {curve.meta.bits}, not measured"
