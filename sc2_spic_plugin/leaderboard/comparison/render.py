"""A comparison as Markdown and as a JSON document."""

from collections.abc import Sequence
from typing import Any

from ..results import Curve, CurvePoint
from ..tables import escape_markdown, markdown_table
from .bjontegaard_delta import Overlap
from .comparison import DROPS, Against, Comparison, RateAt
from .link import LINK_RATES, end_to_end_ms
from .tables import comparison_tables
from .tradeoff import encoder_times_rate

__all__ = ["comparison_document", "render_comparison"]

COMPARISON_SCHEMA_VERSION = 1


def render_comparison(comparisons: Sequence[Comparison]) -> str:
    """Returns Markdown: one chapter per group of comparable results, its tables below."""
    parts = []
    for comparison in comparisons:
        parts.append(f"## {escape_markdown(comparison.group.heading)}")
        for table in comparison_tables(comparison):
            parts.append(f"### {table.title}\n\n{escape_markdown(table.note)}\n\n{markdown_table(table.rows)}")
    return "\n\n".join(parts) + "\n"


def comparison_document(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Returns plain values: per group the curves, their rates at a drop, sizes and latencies, and the deltas."""
    return {
        "comparison_schema_version": COMPARISON_SCHEMA_VERSION,
        "groups": [_group(comparison) for comparison in comparisons],
    }


def _group(comparison: Comparison) -> dict[str, Any]:
    best = {id(point) for point in comparison.three_way}
    excluded = {id(curve): reason for curve, reason in comparison.excluded}
    return {
        **comparison.group._asdict(),
        "original_accuracy": comparison.original,
        "curves": [
            {
                **_identity(curve),
                "label": curve.label,
                "not_compared": excluded.get(id(curve)),
                "points": len(curve.points),
                "dropped_off_front": curve.dropped,
                "bpp_at_drop": {
                    f"{drop:g}": None if curve.meta.bypassed else _rate_at(at)
                    for drop, at in zip(DROPS, rates, strict=True)
                },
                "front": [_point(point, id(point) in best) for point in curve.front],
            }
            for curve, rates in zip(comparison.curves, comparison.rates, strict=True)
        ],
        "deltas": [_delta(each) for each in comparison.against],
    }


def _identity(curve: Curve) -> dict[str, Any]:
    meta = curve.meta
    return {"method": meta.method, "supervision": meta.supervision, "cut": meta.cut, "variant": curve.variant}


def _rate_at(at: RateAt | None) -> dict[str, Any] | None:
    return None if at is None else {**at._asdict(), "interval": None if at.interval is None else list(at.interval)}


def _point(point: CurvePoint, on_three_way_front: bool) -> dict[str, Any]:
    return {
        "unit": point.unit,
        "seeds": point.seeds,
        "bpp": point.bpp,
        "accuracy": point.accuracy,
        "encoder_kilobytes_times_payload_kilobytes": encoder_times_rate(point),
        "on_three_way_front": on_three_way_front,
        "end_to_end_ms": {f"{link:g} Mbit/s": end_to_end_ms(point, link) for link in LINK_RATES},
    }


def _delta(each: Against) -> dict[str, Any]:
    delta, interval = each.delta, each.interval

    def overlap(value: Overlap | None) -> dict[str, float] | None:
        return None if value is None else value._asdict()

    return {
        "curve": _identity(each.curve),
        "anchor": _identity(each.anchor),
        "rate_percent": delta.rate_percent,
        "rate_percent_akima": delta.rate_percent_akima,
        "rate_percent_interval": None if interval.interval is None else list(interval.interval),
        "rate_percent_interval_reason": interval.reason,
        "rate_percent_over_seeds": None if each.seeds is None else list(each.seeds),
        "accuracy_points": delta.accuracy_points,
        "overlap_accuracy": overlap(delta.overlap_accuracy),
        "overlap_bpp": overlap(delta.overlap_bpp),
        "points_used": {"curve": delta.points[0], "anchor": delta.points[1]},
        "dropped_off_front": {"curve": delta.dropped[0], "anchor": delta.dropped[1]},
        "rate_reason": delta.rate_reason,
        "accuracy_reason": delta.accuracy_reason,
        "anchor_bits_over_curve_bits_at_drop": {
            f"{drop:g}": ratio for drop, ratio in zip(DROPS, each.ratios, strict=True)
        },
    }
