"""What the page's script gets: plain values per group, curve, point and measurement."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..comparison import Comparison
from ..drawing import curve_dashes, curve_legend, image_pixels, is_curve
from ..published import PublishedCurve
from ..results import METRIC_NAMES, Curve, CurvePoint, Origin, image_table
from ..statistics import pareto_front
from ..styles import ORIGINAL_METHOD, method_style

__all__ = ["group_data"]

BINS = 32
_MEASURES = (
    "bpp", "payload_bytes", "code_bytes", "harness_kilobytes", "encoder_kilobytes", "encoder_macs", "encode_ms",
    "decode_ms",
)  # fmt: skip


def group_data(comparison: Comparison, published: Sequence[PublishedCurve]) -> dict[str, Any]:
    """Returns what one section of the page shows.

    Args:
        comparison: the group's curves.
        published: curves drawn as published, of this group's network and data set.

    Raises:
        DataError: a per-image table that contradicts its point.
    """
    curves = comparison.curves
    front = {id(point) for point in pareto_front([p for curve in curves if curve.competes for p in curve.points])}
    metas: list[dict[str, Any]] = []
    return {
        "heading": comparison.group.heading,
        "metric": METRIC_NAMES[curves[0].meta.metric],
        "original": comparison.original,
        "pixels": image_pixels(curves),
        "curves": [
            _curve(curve, curves, dash, front, metas) for curve, dash in zip(curves, curve_dashes(curves), strict=True)
        ],
        "published": [_published(curve) for curve in published],
        "metas": metas,
    }


def _curve(
    curve: Curve, curves: Sequence[Curve], dash: int, front: set[int], metas: list[dict[str, Any]]
) -> dict[str, Any]:
    own = {id(point) for point in curve.front}
    kind = "original" if curve.meta.method == ORIGINAL_METHOD else "curve" if is_curve(curve) else "sent"
    return {
        "label": curve_legend(curve, curves),
        "method": curve.meta.method,
        "cut": curve.meta.cut,
        "kind": kind,
        "colour": curve.style.colour,
        "marker": curve.style.marker,
        "dash": dash,
        "hollow": curve.meta.supervision == "unsupervised",
        "faint": curve.meta.bypassed or curve.meta.bits != "measured",
        "points": [_point(point, id(point) in own, id(point) in front, metas) for point in curve.points],
    }


def _point(point: CurvePoint, on_own: bool, on_front: bool, metas: list[dict[str, Any]]) -> dict[str, Any]:
    error, rates = point.error, point.spread("bpp")
    return {
        "unit": point.unit,
        "accuracy": point.accuracy,
        "error": None if error is None else list(error),
        "rates": None if rates is None else list(rates),
        "joined": on_own,
        "front": on_front,
        **{name: point.mean(name) for name in _MEASURES},
        "measured": [_measured(origin, metas) for origin in point.origins],
    }


def _measured(origin: Origin, metas: list[dict[str, Any]]) -> dict[str, Any]:
    point, source = origin.point, origin.source
    meta = dataclasses.asdict(source.result.meta)
    if meta not in metas:
        metas.append(meta)
    return {
        "seed": point.seed,
        "accuracy": point.accuracy,
        "top5": point.top5,
        "interval": None if point.confidence_low is None else [point.confidence_low, point.confidence_high],
        **{name: getattr(point, name) for name in _MEASURES},
        "config_sha256": point.config_sha256,
        "checkpoint_sha256": point.checkpoint_sha256,
        "extra": dict(point.extra),
        "name": source.result.name,
        "description": source.result.description,
        "file": None if source.path is None else source.path.name,
        "meta": metas.index(meta),
        "histogram": _histogram(origin),
    }


def _histogram(origin: Origin) -> dict[str, Any] | None:
    """Returns counts of payload sizes in whole bytes, or None where the point has no per-image table."""
    table = image_table(origin)
    if table is None:
        return None
    sizes = table.payload_bytes
    low, high = int(sizes.min()), int(sizes.max())
    width = max(1, -(-(high - low + 1) // BINS))
    edges = low + width * np.arange(-(-(high - low + 1) // width) + 1)
    counts, _ = np.histogram(sizes, bins=edges)
    return {
        "low": low,
        "high": high,
        "width": width,
        "counts": counts.tolist(),
        "median": float(np.median(sizes)),
        "images": len(sizes),
    }


def _published(curve: PublishedCurve) -> dict[str, Any]:
    style = method_style(curve.method or curve.name)
    points = [{"bpp": rate, "accuracy": value} for rate, value in zip(curve.bpp, curve.accuracy, strict=True)]
    return {
        "label": curve.label,
        "source": curve.source,
        "colour": style.colour,
        "marker": style.marker,
        "points": points,
    }
