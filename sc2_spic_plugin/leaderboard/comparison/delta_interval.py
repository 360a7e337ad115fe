"""Interval of a Bjøntegaard rate difference: both curves measured again and again on the same redrawn images."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..results import Curve, CurvePoint, ImageTable, image_table
from ..statistics import Interval
from .bjontegaard_delta import bjontegaard_delta

__all__ = ["DeltaInterval", "delta_interval"]

RESAMPLES = 400
LEAST_DEFINED = 0.95
"""Share of the resamples in which the difference must be defined."""


class DeltaInterval(NamedTuple):
    """The 95 % interval in percent, or why there is none."""

    interval: Interval | None
    reason: str | None


class Redrawn(NamedTuple):
    """A point on redrawn images."""

    bpp: float
    accuracy: float


def delta_interval(curve: Curve, anchor: Curve, resamples: int = RESAMPLES, seed: int = 0) -> DeltaInterval:
    """Returns the percentile bootstrap interval of the rate difference over images.

    Both curves see the same images in every resample, so that what makes an image hard for both cancels; the means over
    seeds are redrawn, not the seeds. Fronts are taken anew in every resample.

    Args:
        curve: the curve.
        anchor: what it is compared with.
        resamples: bootstrap samples.
        seed: of the generator made here; no global state is touched.

    Raises:
        DataError: a per-image table that contradicts its point.
    """
    tables = [[_tables(point) for point in each.points] for each in (curve, anchor)]
    flat = [table for each in tables for of_point in each for table in of_point]
    if any(table is None for table in flat):
        return DeltaInterval(None, "a point has no per-image table")
    known = [table for table in flat if table is not None]
    if len({table.images for table in known}) > 1:
        return DeltaInterval(None, "the per-image tables are of different images")
    scales = [[_pixels(point) for point in each.points] for each in (curve, anchor)]
    if any(scale is None for each in scales for scale in each):
        return DeltaInterval(None, "the rates do not follow from payload bytes and one image size")

    count = len(known[0].images)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)
    redrawn = [
        [_redraw(of_point, scale, weights) for of_point, scale in zip(each, of_curve, strict=True)]
        for each, of_curve in zip(tables, scales, strict=True)
    ]
    deltas = []
    for index in range(resamples):
        mine, theirs = ([Redrawn(*values[:, index]) for values in each] for each in redrawn)
        deltas.append(bjontegaard_delta(mine, theirs).rate_percent)
    defined = [delta for delta in deltas if delta is not None]
    if len(defined) < LEAST_DEFINED * resamples:
        return DeltaInterval(None, f"undefined on {resamples - len(defined)} of {resamples} redrawn sets of images")
    low, high = np.quantile(defined, [0.025, 0.975])
    return DeltaInterval(Interval(float(low), float(high)), None)


def _tables(point: CurvePoint) -> list[ImageTable | None]:
    return [image_table(origin) for origin in point.origins]


def _pixels(point: CurvePoint) -> float | None:
    """Returns the image pixels behind a point's rate, or None where they are not the same for all its seeds."""
    pixels = {
        round(each.payload_bytes * 8 / each.bpp, 3) if each.bpp and each.payload_bytes else None
        for each in point.points
    }
    return pixels.pop() if len(pixels) == 1 else None


def _redraw(tables: list[ImageTable | None], pixels: float | None, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns rate and accuracy (2, R) of a point's mean over its seeds."""
    known = [table for table in tables if table is not None]
    payload = np.mean([table.payload(weights) for table in known], axis=0)
    accuracy = np.mean([table.accuracy(weights) for table in known], axis=0)
    return np.stack([payload * 8 / float(pixels or 1), accuracy])
