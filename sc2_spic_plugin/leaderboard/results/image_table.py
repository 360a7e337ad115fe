"""The per-image table of a measured point: found beside its result file, read, and checked against it."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..statistics import Interval
from .curve import Origin
from .curve_tables import CurveTables, curve_tables_path
from .per_image import ImageRow, per_image_csv_path, read_overlap_csv, read_per_image_csv

__all__ = ["ImageTable", "image_rows", "image_table", "image_table_path", "table_name"]

_CHUNK = 100  # resamples whose weights, one per image, are in memory at a time
_TOLERANCE = 1e-6  # relative, between a table's mean and the point that was computed from it


class ImageTable:
    """What one point measured on each of N images, in the order of their ids.

    Attributes:
        images: ids, sorted.
        payload_bytes: (N,) float64.
    """

    def __init__(self, unsorted: Sequence[ImageRow], metric: str, path: Path) -> None:
        """Takes the rows of a table.

        Args:
            unsorted: the rows.
            metric: `top1` or `miou`.
            path: where they were read.

        Raises:
            DataError: there is none, or an image stands there twice.
        """
        rows = sorted(unsorted)
        if not rows:
            raise DataError(f"{path} holds no image; measure the point again.")
        self.images = tuple(row[0] for row in rows)
        repeated = next((name for name, following in pairwise(self.images) if name == following), None)
        if repeated is not None:
            raise DataError(f"{path} has `{repeated}` more than once; every image is reported once.")
        self.payload_bytes = np.array([row[1] for row in rows], dtype=np.float64)
        negative = next((row[0] for row in rows if row[1] < 0), None)
        if negative is not None:
            raise DataError(f"{path}: `{negative}` has fewer than 0 payload bytes; measure the point again.")
        self._measured = [
            np.array([row[column] for row in rows], dtype=np.float64) for column in range(2, len(rows[0]))
        ]
        self._absent_classes = "skip"
        self._metric = metric

    def accuracy(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the metric in percent over weighted images (R,).

        Args:
            weights: (R, N), how often each image was drawn; rows add up to N.
        """
        if self._metric == "top1":
            return 100 * (weights @ self._measured[0]) / weights.sum(axis=1)
        intersection, union, labelled = (weights @ counts for counts in self._measured)
        ratio = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
        counted = np.ones_like(labelled) if self._absent_classes == "zero" else (labelled > 0).astype(np.float64)
        return 100 * (ratio * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)

    def payload(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the mean payload in bytes over weighted images (R,)."""
        return (weights @ self.payload_bytes) / weights.sum(axis=1)

    def interval(self, resamples: int = 2000, seed: int = 0) -> Interval:
        """Returns the 95 % percentile bootstrap interval over images of the accuracy in percent."""
        count, generator, found = len(self.images), np.random.default_rng(seed), []
        for start in range(0, resamples, _CHUNK):
            size = min(_CHUNK, resamples - start)
            weights = generator.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
            found.append(self.accuracy(weights))
        low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
        return Interval(float(low), float(high))

    def check(self, origin: Origin, path: Path) -> None:
        """Checks that the table is the point's, and finds out how it counts classes that no mask shows.

        Raises:
            DataError: the table's means are not the point's.
        """
        point, once = origin.point, np.ones((1, len(self.images)))
        payload = float(self.payload(once)[0])
        if point.payload_bytes is not None and not np.isclose(payload, point.payload_bytes, rtol=_TOLERANCE):
            raise DataError(_contradiction(path, origin, f"{payload} bytes per image", f"{point.payload_bytes}"))
        for convention in ("skip", "zero"):
            self._absent_classes = convention
            accuracy = float(self.accuracy(once)[0])
            if np.isclose(accuracy, point.accuracy, rtol=_TOLERANCE):
                return
        raise DataError(_contradiction(path, origin, f"{accuracy} %", f"{point.accuracy} %"))


def table_name(origin: Origin) -> str:
    """Returns what a point's table is called: its unit, or `UNIT.seedK` where the file holds several seeds of it."""
    point = origin.point
    alike = [each for each in origin.source.result.points if each.unit == point.unit]
    return point.unit if len(alike) == 1 else f"{point.unit}.seed{point.seed}"


def image_table_path(origin: Origin) -> Path | None:
    """Returns where the table of a point lies, or None if there is none.

    It is `NAME.TABLE.csv` beside `NAME.json` (see `table_name`), or in `NAME.csv.gz` with those of the other points;
    that file if it is damaged, which reading it says.
    """
    path = origin.source.path
    if path is None:
        return None
    alone, packed = per_image_csv_path(path, table_name(origin)), curve_tables_path(path)
    if alone.is_file():
        return alone
    try:
        return packed if packed.is_file() and table_name(origin) in _unpacked(packed).names else None
    except DataError:
        return packed


def image_rows(origin: Origin) -> Sequence[ImageRow] | None:
    """Returns the rows of a point's table, or None where there is no table.

    Raises:
        DataError: a table that cannot be read, or that contradicts the point.
    """
    image_table(origin)  # refuses one that contradicts the point
    path = image_table_path(origin)
    return None if path is None else _rows(path, table_name(origin), origin.source.result.meta.metric)


def image_table(origin: Origin) -> ImageTable | None:
    """Returns what a point measured on each image, or None where there is no table.

    Raises:
        DataError: a table that cannot be read, or that contradicts the point.
    """
    path = image_table_path(origin)
    if path is None:
        return None
    table = _table(path, table_name(origin), origin.source.result.meta.metric, path.stat().st_mtime_ns)
    table.check(origin, path)
    return table


@lru_cache(maxsize=512)
def _table(path: Path, name: str, metric: str, _modified: int) -> ImageTable:
    return ImageTable(_rows(path, name, metric), metric, path)


def _rows(path: Path, name: str, metric: str) -> Sequence[ImageRow]:
    if path.suffix == ".gz":
        return _unpacked(path).rows(name, metric)
    return read_per_image_csv(path) if metric == "top1" else read_overlap_csv(path)


def _unpacked(path: Path) -> CurveTables:
    return _unpacked_once(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _unpacked_once(path: Path, _modified: int) -> CurveTables:
    return CurveTables(path)


def _contradiction(path: Path, origin: Origin, table: str, point: str) -> str:
    return (
        f"{path} and {origin.source.path} contradict each other: the table of point `{origin.point.unit}` gives "
        f"{table}, the result {point}. One of the two is of another measurement; measure the point again."
    )
