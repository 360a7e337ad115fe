"""The result file: one method's operating points in CompressAI's JSON shape, with provenance."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, nearest
from ...ops import write_atomic
from ..styles import UNCODED_METHODS
from .meta import SCHEMA_VERSION, Meta
from .point import Point, column_names

__all__ = ["ResultFile"]

_OPTIONAL_COLUMNS = ("top1", "top5", "miou")  # left out where no point has them


@dataclass(frozen=True)
class ResultFile:
    """One curve: the points of one method under one protocol, in order of ascending rate.

    Attributes:
        name: what CompressAI's plot tool shows in its legend.
        description: one sentence for a reader.
        points: sorted by rate on construction.
        meta: provenance.
    """

    name: str
    description: str
    points: Sequence[Point]
    meta: Meta

    def __post_init__(self) -> None:
        """Sorts the points and checks that they belong together.

        Raises:
            DataError: no metric of the task, no rate, or two contradicting measurements of one point.
        """
        if not self.name:
            raise DataError("A result file needs a name; plots show it in the legend.")
        for point in self.points:
            if getattr(point, self.meta.metric) is None:
                raise DataError(f"`{self.name}`, point `{point.unit}`: `{self.meta.metric}` is missing.")
            if point.bpp is None and self.meta.method not in UNCODED_METHODS:
                raise DataError(f"`{self.name}`, point `{point.unit}`: `bpp` is missing.")
        order = sorted(self.points, key=lambda p: (-1.0 if p.bpp is None else p.bpp, p.accuracy, p.unit))
        object.__setattr__(self, "points", tuple(order))
        seen: dict[Any, Point] = {}
        for point in order:
            if point.key in seen:
                raise DataError(
                    f"`{self.name}`: point `{point.unit}` (seed {point.seed}) is there twice, with "
                    f"{seen[point.key].bpp} bpp / {seen[point.key].accuracy} and {point.bpp} bpp / {point.accuracy}. "
                    "Keep the one that you can measure again."
                )
            seen[point.key] = point

    def as_dict(self) -> dict[str, Any]:
        """Returns the JSON document: `results` holds parallel lists, one entry per point."""
        results: dict[str, list[Any]] = {}
        for column in column_names():
            values = [getattr(point, column) for point in self.points]
            if column not in _OPTIONAL_COLUMNS or any(value is not None for value in values):
                results[column] = values
        for column in sorted({name for point in self.points for name in point.extra}):
            results[column] = [point.extra.get(column) for point in self.points]
        meta = {"schema_version": self.meta.schema_version} | dataclasses.asdict(self.meta)
        return {"name": self.name, "description": self.description, "results": results, "meta": meta}

    def to_json(self) -> str:
        """Returns the text of the file."""
        return _render(self.as_dict())

    def merge(self, other: "ResultFile") -> "ResultFile":
        """Returns a file with the points of both; a point measured twice keeps the values it has here.

        Raises:
            DataError: the files differ in protocol, network, method, code version or any other provenance but the
                date, or a point that both have was measured with another rate or accuracy.
        """
        differences = self.meta.differences(other.meta)
        if differences:
            raise DataError(
                f"`{self.name}` and `{other.name}` cannot be merged, they differ in {'; '.join(differences)}. "
                "Save them as two files."
            )
        mine = {point.key: point for point in self.points}
        for point in other.points:
            before = mine.get(point.key, point)
            if _rate_and_accuracy(point) != _rate_and_accuracy(before):
                raise DataError(
                    f"`{self.name}`: point `{point.unit}` was measured as {_rate_and_accuracy(before)} and now as "
                    f"{_rate_and_accuracy(point)} (bpp, accuracy, bytes). Find out why before keeping one."
                )
        points = [*self.points, *(point for point in other.points if point.key not in mine)]
        meta = dataclasses.replace(self.meta, date=max(self.meta.date, other.meta.date))
        return ResultFile(self.name, self.description, points, meta)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Writes the file whole or not at all.

        A file that is there already is replaced only if every one of its points is kept (as after `merge`).

        Args:
            path: where; missing folders are made.
            overwrite: replace whatever is there.

        Raises:
            DataError: another result is there; the message says how to go on.
            OSError: the disk is full or the folder cannot be written; what was there stays.
        """
        path = Path(path)
        content = self.to_json()
        if path.exists() and not overwrite:
            if path.read_bytes() == content.encode():
                return path
            try:
                before: ResultFile | None = ResultFile.load(path)
            except DataError:
                before = None
            kept = before is not None and all(point in self.points for point in before.points)
            if before is None or not kept or before.meta.differences(self.meta):
                raise DataError(
                    f"{path} holds another result. Choose another path, add to it with "
                    "`ResultFile.load(path).merge(new).save(path)`, or replace it with overwrite=True."
                )
        return write_atomic(path, content)

    @classmethod
    def load(cls, path: str | Path) -> "ResultFile":
        """Reads a result file.

        Raises:
            DataError: the file is absent, not JSON, of another schema version, or an entry is missing, NaN or of the
                wrong type; the message names the entry.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"There is no result file at {path}.") from error
        except (ValueError, OSError) as error:
            raise DataError(f"{path} cannot be read as JSON: {error}") from error
        try:
            return cls._from_dict(document)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @classmethod
    def _from_dict(cls, document: Any) -> "ResultFile":
        for key, kind in (("name", str), ("description", str), ("results", dict), ("meta", dict)):
            if not isinstance(document, dict) or not isinstance(document.get(key), kind):
                raise DataError(f"`{key}` is missing or not a {kind.__name__}; this is not a result file of ours.")
        version = document["meta"].get("schema_version")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"meta.schema_version is {version!r}, this version reads {SCHEMA_VERSION}. "
                "Update sc2-spic-plugin, or measure the points again."
            )
        known = [item.name for item in dataclasses.fields(Meta)]
        for key in document["meta"]:
            if key not in known:
                raise DataError(f"Unknown key meta.{key}. {nearest(key, known)}")
        required = [f.name for f in dataclasses.fields(Meta) if f.default is f.default_factory is dataclasses.MISSING]
        for key in required:
            if key not in document["meta"]:
                raise DataError(f"meta.{key} is missing.")
        meta = Meta(**document["meta"])
        return cls(document["name"], document["description"], _points(document["results"], meta), meta)


def _points(results: dict[str, Any], meta: Meta) -> list[Point]:
    for column in ("bpp", meta.metric, "unit"):
        if column not in results:
            raise DataError(f"results.{column} is missing.")
    for column, values in results.items():
        if not isinstance(values, list) or len(values) != len(results["bpp"]):
            raise DataError(f"results.{column} must be a list of {len(results['bpp'])} entries, one per point.")
        for index, value in enumerate(values):
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(f"results.{column}[{index}] is {value}; write null where nothing was measured.")
    names = column_names()
    points = []
    for index in range(len(results["bpp"])):
        row = {column: values[index] for column, values in results.items()}
        extra = {column: row.pop(column) for column in list(row) if column not in names}
        try:
            points.append(Point(**row, extra=extra))
        except DataError as error:
            raise DataError(f"entry {index} of results: {error}") from error
    return points


def _rate_and_accuracy(point: Point) -> tuple[float | None, float, float | None]:
    return point.bpp, point.accuracy, point.payload_bytes


def _render(document: dict[str, Any]) -> str:
    """Writes JSON with one line per column and per provenance entry, so that differences read well."""

    def block(entries: dict[str, Any]) -> str:
        lines = (f"    {json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in entries.items())
        return "{\n" + ",\n".join(lines) + "\n  }"

    parts = (
        f"  {json.dumps(key)}: {block(value) if isinstance(value, dict) else json.dumps(value)}"
        for key, value in document.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"
