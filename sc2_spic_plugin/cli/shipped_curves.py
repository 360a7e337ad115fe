"""What is committed of a curve: its points as result files with their per-image tables, old and new ones joined."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..errors import ConfigError, DataError
from ..leaderboard import Point, ResultFile, Source
from ..leaderboard.results import ImageRow, Origin, image_rows, table_name
from .bench.collect import KIND

__all__ = ["CurvePart", "added", "part_of"]


class CurvePart(NamedTuple):
    """Points of a curve with one provenance, and the per-image table of each, by `Point.key`."""

    result: ResultFile
    rows: dict[tuple, Sequence[ImageRow]]

    def tables(self) -> dict[str, Sequence[ImageRow]]:
        """Returns the tables by the names that they have beside the result file."""
        source = Source(self.result, None)
        return {table_name(Origin(point, source)): self.rows[point.key] for point in self.result.points}


def part_of(source: Source) -> CurvePart:
    """Returns what a result file holds.

    Raises:
        DataError: a point without its per-image table.
    """
    found: dict[tuple, Sequence[ImageRow]] = {}
    for point in source.result.points:
        origin = Origin(point, source)
        rows = image_rows(origin)
        if rows is None:
            raise DataError(
                f"`{table_name(origin)}` of {source.path} has no per-image table beside it, without which nobody can "
                "verify it; run `sc2-spic bench` on the folder again."
            )
        found[point.key] = rows
    return CurvePart(source.result, found)


def added(new: Sequence[CurvePart], before: Sequence[CurvePart], overwrite: bool) -> list[CurvePart]:
    """Returns the parts of one curve with the points of both; those of one provenance share a part.

    Args:
        new: what is added.
        before: what is there; it comes first, and a point that was measured again stays as it is.
        overwrite: let a new point take the place of the one that is there.

    Raises:
        ConfigError: such a point, unless `overwrite`; or points of another method, split, network or protocol.
    """
    points, there = (
        {_place(point): point for part in parts for point in part.result.points} for parts in (new, before)
    )
    changed = dict.fromkeys(
        point.unit for place, point in there.items() if place in points and _measured(point) != _measured(points[place])
    )
    name = new[0].result.name
    if changed and not overwrite:
        raise ConfigError(
            f"`{name}` has {', '.join(f'`{unit}`' for unit in changed)} with another rate or accuracy there; pass "
            "--overwrite to replace them."
        )
    parts: list[CurvePart] = []
    for part in (*_without(before, points), *new) if overwrite else (*before, *_without(new, there)):
        for key in KIND:
            one, other = getattr(part.result.meta, key), getattr(new[0].result.meta, key)
            if one != other:
                raise ConfigError(
                    f"`{name}` is there with {key} {one!r}, the new points have {other!r}; name it otherwise."
                )
        alike = next((i for i, each in enumerate(parts) if not each.result.meta.differences(part.result.meta)), None)
        if alike is None:
            parts.append(part)
        else:
            each = parts[alike]
            parts[alike] = CurvePart(each.result.merge(part.result), {**each.rows, **part.rows})
    return parts


def _without(parts: Sequence[CurvePart], points: Mapping[tuple, Point]) -> Iterator[CurvePart]:
    for result, rows in parts:
        kept = [point for point in result.points if _place(point) not in points]
        if kept:
            yield CurvePart(ResultFile(result.name, result.description, kept, result.meta), rows)


def _place(point: Point) -> tuple:
    return point.unit, point.seed


def _measured(point: Point) -> tuple:
    return point.bpp, point.accuracy, point.payload_bytes
