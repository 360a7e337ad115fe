"""Curves measured again and again on redrawn images: what intervals over images are made from."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..results import Curve, CurvePoint, ImageTable, image_table
from ..statistics import Measured, pareto_front
from .bjontegaard_delta import LogRate, log_rate

__all__ = ["RESAMPLES", "Redrawn", "redraw"]

RESAMPLES = 1000
_CHUNK = 100  # resamples whose weights, one per image, are in memory at a time
_TOLERANCE = 1e-6  # relative, between the image sizes that two points' rates follow from


class Redrawn:
    """A curve on redrawn images; two curves of the same images saw the same ones in every draw.

    Attributes:
        images: ids, sorted.
        pixels: of an image, from which rates follow; None where nothing is sent.
        accuracy: (P, R) percent, points by redrawn sets of images.
        bpp: (P, R) bits per image pixel; 0 where nothing is sent.
    """

    def __init__(
        self,
        images: tuple[str, ...],
        pixels: float | None,
        payload_bytes: NDArray[np.float64],
        accuracy: NDArray[np.float64],
    ) -> None:
        """Takes mean payload in bytes and mean accuracy in percent, both (P, R)."""
        self.images, self.pixels, self.accuracy = images, pixels, accuracy
        self.bpp = payload_bytes * 8 / (pixels or 1.0)

    @cached_property
    def splines(self) -> list[LogRate | None]:
        """The interpolation of each front that Bjøntegaard deltas integrate."""
        return [log_rate(front) for front in self.fronts]

    @cached_property
    def fronts(self) -> list[list[Measured]]:
        """The Pareto front in each draw, by ascending rate."""
        return [
            pareto_front([Measured(*values) for values in zip(bpp, accuracy, strict=True) if values[0] > 0])
            for bpp, accuracy in zip(self.bpp.T.tolist(), self.accuracy.T.tolist(), strict=True)
        ]

    def is_paired_with(self, other: "Redrawn") -> bool:
        """Whether both saw the same images of the same size in every draw."""
        return self.images == other.images and self._is_of_size(other)

    def _is_of_size(self, other: "Redrawn") -> bool:
        if self.pixels is None or other.pixels is None:
            return True
        return abs(self.pixels - other.pixels) <= _TOLERANCE * self.pixels


def redraw(curves: Sequence[Curve], resamples: int = RESAMPLES, seed: int = 0) -> list[Redrawn | str]:
    """Draws images with replacement, as many as there are, and measures every curve on them.

    The means over training seeds are measured, the seeds are not redrawn.

    Args:
        curves: of one group.
        resamples: how often.
        seed: of the generator made here; no global state is touched.

    Returns:
        One entry per curve: what it measured, or why it cannot be redrawn.

    Raises:
        DataError: a per-image table that contradicts its point.
    """
    found: list[Redrawn | str] = []
    alike: dict[tuple[str, ...], list[tuple[int, list[list[ImageTable]], float | None]]] = {}
    for curve in curves:
        tables = [[image_table(origin) for origin in point.origins] for point in curve.points]
        known = [[table for table in of_point if table is not None] for of_point in tables]
        images = {table.images for of_point in known for table in of_point}
        sizes = {size for point in curve.points for size in _pixels(point)}
        if any(table is None for of_point in tables for table in of_point):
            found.append("a point has no per-image table")
        elif len(images) > 1:
            found.append("the per-image tables of a curve are of different images")
        elif sizes and max(sizes) - min(sizes) > _TOLERANCE * min(sizes):
            found.append("the rates do not follow from payload bytes and one image size")
        else:
            alike.setdefault(images.pop(), []).append((len(found), known, min(sizes, default=None)))
            found.append("")
    for ids, members in alike.items():
        points = [of_point for _, known, _ in members for of_point in known]
        payload, accuracy = _measure(points, len(ids), resamples, seed)
        first = 0
        for index, known, pixels in members:
            rows = slice(first, first + len(known))
            found[index] = Redrawn(ids, pixels, payload[rows], accuracy[rows])
            first = rows.stop
    return found


def _measure(
    points: Sequence[Sequence[ImageTable]], count: int, resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns payload bytes and accuracy (P, R) of points, each the mean over its seeds."""
    payload, accuracy = np.empty((len(points), resamples)), np.empty((len(points), resamples))
    generator = np.random.default_rng(seed)
    for first in range(0, resamples, _CHUNK):
        draws = slice(first, min(first + _CHUNK, resamples))
        size = draws.stop - draws.start
        weights = generator.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        for row, tables in enumerate(points):
            payload[row, draws] = np.mean([table.payload(weights) for table in tables], axis=0)
            accuracy[row, draws] = np.mean([table.accuracy(weights) for table in tables], axis=0)
    return payload, accuracy


def _pixels(point: CurvePoint) -> list[float]:
    """Returns the image pixels that the rate of each seed follows from."""
    return [each.payload_bytes * 8 / each.bpp for each in point.points if each.bpp and each.payload_bytes]
