"""One curve of a comparison: the operating points of a method, those of several seeds taken together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..statistics import pareto_front
from ..styles import MethodStyle, method_rank, method_style
from .collect import Source
from .meta import Meta
from .point import Point

__all__ = ["Curve", "CurvePoint", "Origin", "build_curves"]

_BITS_MARKS = {
    "measured": "",
    "estimated": "estimated bits",
    "published": "as published",
    "reported": "bits as reported",
}


class Origin(NamedTuple):
    """A measured point and the file that holds it."""

    point: Point
    source: Source


class Spread(NamedTuple):
    """Least and greatest value over the seeds."""

    low: float
    high: float


@dataclass(frozen=True)
class CurvePoint:
    """One operating point: a single measurement, or the mean over the seeds it was trained with.

    Attributes:
        unit: name of the operating point.
        origins: the measurements, one per seed.
    """

    unit: str
    origins: tuple[Origin, ...]

    @property
    def points(self) -> list[Point]:
        """The measurements."""
        return [origin.point for origin in self.origins]

    @property
    def seeds(self) -> list[int | None]:
        """The seeds, one per measurement."""
        return [point.seed for point in self.points]

    def _values(self, column: str) -> list[float]:
        """Returns a column, one number per seed, or nothing where a seed lacks it."""
        values = [getattr(point, column, point.extra.get(column)) for point in self.points]
        known = [float(value) for value in values if isinstance(value, int | float)]
        return known if len(known) == len(values) else []

    def mean(self, column: str) -> float | None:
        """Returns the mean of a column over the seeds, or None where one of them lacks it."""
        values = self._values(column)
        return sum(values) / len(values) if values else None

    def spread(self, column: str) -> Spread | None:
        """Returns the least and greatest value over the seeds; None for a single seed or where one lacks it."""
        values = self._values(column)
        return Spread(min(values), max(values)) if len(values) > 1 else None

    @cached_property
    def bpp(self) -> float | None:
        """Mean bits per image pixel."""
        return self.mean("bpp")

    @cached_property
    def accuracy(self) -> float:
        """Mean of the task's metric, percent."""
        return sum(point.accuracy for point in self.points) / len(self.points)

    @property
    def error(self) -> Spread | None:
        """Ends of the error bar in percent: least and greatest seed, or one seed's 95 % interval over images."""
        if len(self.origins) > 1:
            values = [point.accuracy for point in self.points]
            return Spread(min(values), max(values))
        point = self.points[0]
        if point.confidence_low is None or point.confidence_high is None:
            return None
        return Spread(min(point.confidence_low, point.accuracy), max(point.confidence_high, point.accuracy))


@dataclass(frozen=True)
class Curve:
    """The operating points of one method, trained one way, at one split.

    Attributes:
        meta: provenance of the first file; what tells curves apart is the same in all of them.
        variant: name of the result where several curves would look alike without it.
        points: by ascending mean rate.
    """

    meta: Meta
    variant: str | None
    points: tuple[CurvePoint, ...]

    @property
    def style(self) -> MethodStyle:
        """Colour and marker of the method."""
        return method_style(self.meta.method)

    @property
    def label(self) -> str:
        """The method with what sets the curve apart: supervision, bypass, bits not measured here, variant."""
        meta = self.meta
        marks = [meta.supervision or "", "bypassed" if meta.bypassed else "", _BITS_MARKS[meta.bits]]
        shown = ", ".join(mark for mark in marks if mark)
        return self.style.label + (f" ({shown})" if shown else "") + (f": {self.variant}" if self.variant else "")

    @property
    def competes(self) -> bool:
        """Whether it may be on a front: no reference, nothing bypassed, bits measured."""
        return not self.style.reference and not self.meta.bypassed and self.meta.bits == "measured"

    @cached_property
    def front(self) -> list[CurvePoint]:
        """The points on its own Pareto front, by ascending rate."""
        return pareto_front(self.points)

    @property
    def dropped(self) -> int:
        """How many of its points are not on its own front."""
        return len(self.points) - len(self.front)

    def of_seed(self, seed: int | None) -> list[Point]:
        """Returns the measurements of one seed."""
        return [point for each in self.points for point in each.points if point.seed == seed]

    @property
    def common_seeds(self) -> list[int | None]:
        """The seeds that every point was measured with."""
        shared = set(self.points[0].seeds).intersection(*(point.seeds for point in self.points))
        return sorted(shared, key=lambda seed: -1 if seed is None else seed)


def build_curves(sources: Sequence[Source]) -> list[Curve]:
    """Joins results of one group into curves, methods in their fixed order.

    Results of one method, supervision, split and kind of bits are one curve if they have the same name, if each is a
    single operating point, or if they hold the same operating points with other seeds. Otherwise they are curves of
    their own, told apart by their names, or by their files where the names are the same. Equal seeds of equal points
    are never joined, nor are points of one name that were made with different configs.
    """
    alike: dict[Any, list[list[Source]]] = {}
    for source in sorted(sources, key=lambda each: each.result.name):
        meta = source.result.meta
        key = (meta.method, meta.supervision, meta.cut, meta.bypassed, meta.bits)
        curves = alike.setdefault(key, [])
        home = next((members for members in curves if _belongs(source, members)), None)
        if home is None:
            curves.append([source])
        else:
            home.append(source)
    built = [
        Curve(members[0].result.meta, variant, _points(members))
        for curves in alike.values()
        for members, variant in zip(curves, _variants(curves), strict=True)
        if any(source.result.points for source in members)
    ]
    return sorted(built, key=_order)


def _variants(curves: Sequence[Sequence[Source]]) -> list[str | None]:
    """Returns what tells curves apart that look alike: nothing where there is one, names, files where names agree."""
    if len(curves) == 1:
        return [None]
    names = [members[0].result.name for members in curves]
    paths = [members[0].path for members in curves]
    return [
        name if names.count(name) == 1 or path is None else f"{name} ({path.parent.name}/{path.name})"
        for name, path in zip(names, paths, strict=True)
    ]


def _order(curve: Curve) -> tuple[object, ...]:
    meta = curve.meta
    asides = (meta.bypassed, meta.bits != "measured")
    return method_rank(meta.method), *asides, meta.supervision or "", meta.cut or "", curve.variant or ""


def _belongs(source: Source, members: Sequence[Source]) -> bool:
    here = {point.key for point in source.result.points}
    there = {point.key for member in members for point in member.result.points}
    if {(key[0], key[3]) for key in here - there} & {(key[0], key[3]) for key in there}:
        return False
    configs = _configs([source, *members])
    if any(len(known) > 1 for known in configs.values()):
        return False
    units = [{point.unit for point in each.result.points} for each in (source, *members)]
    return (
        source.result.name in {member.result.name for member in members}
        or all(len(each) == 1 for each in units)
        or bool(units[0] & set().union(*units[1:]))
    )


def _configs(members: Sequence[Source]) -> dict[str, set[str]]:
    """Returns the digests of the configs that the points of each name were made with, as far as they are known."""
    configs: dict[str, set[str]] = {}
    for point in (point for member in members for point in member.result.points):
        configs.setdefault(point.unit, set()).update({point.config_sha256} - {None})  # type: ignore[arg-type]
    return configs


def _points(members: Sequence[Source]) -> tuple[CurvePoint, ...]:
    origins: dict[Any, Origin] = {}
    for member in members:
        for point in member.result.points:
            origins.setdefault(point.key, Origin(point, member))
    units: dict[str, list[Origin]] = {}
    for origin in origins.values():
        units.setdefault(origin.point.unit, []).append(origin)
    points = []
    for unit, measured in units.items():
        seeds = [origin.point.seed for origin in measured]
        several = len(set(seeds)) == len(seeds)
        together = [measured] if several else [[origin] for origin in measured]
        points += [CurvePoint(unit, tuple(sorted(each, key=lambda o: o.point.seed or 0))) for each in together]
    return tuple(sorted(points, key=lambda p: (-1.0 if p.bpp is None else p.bpp, p.accuracy, p.unit)))
