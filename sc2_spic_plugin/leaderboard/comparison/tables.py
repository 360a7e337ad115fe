"""The tables of a comparison: rate at a drop in accuracy, Bjøntegaard deltas, three-way trade-off, latency."""

from typing import NamedTuple

from ..results import METRIC_NAMES, Curve, CurvePoint
from ..tables import (
    DASH,
    MINUS,
    Column,
    Rows,
    make_rows,
    number,
    point_accuracy,
    rate,
    signed,
    signed_range,
    significant,
    timed_on,
    without_empty_columns,
)
from .bjontegaard_delta import Delta, Overlap
from .comparison import DROPS, Against, Comparison, RateAt
from .link import LINK_RATES, end_to_end_ms
from .tradeoff import encoder_times_rate

__all__ = ["ComparisonTable", "comparison_tables"]

NEVER = "never reached"
METHOD = Column("Method", "what codes and decodes; how it was trained", False)
SPLIT = Column("Split", "module after which the network is cut", False)
POINT = Column("Point", "operating point, on the front of its own curve", False)


class ComparisonTable(NamedTuple):
    """A table with its title and what holds for all of it."""

    title: str
    note: str
    rows: Rows


def comparison_tables(comparison: Comparison) -> list[ComparisonTable]:
    """Returns the tables of one group: those that have a row, with the columns that say something."""
    tables = (_rates(comparison), _deltas(comparison), _three_way(comparison), _latency(comparison))
    return [table._replace(rows=without_empty_columns(table.rows)) for table in tables if table.rows.cells]


def _who(curve: Curve) -> list[str]:
    return [curve.label, curve.meta.cut or DASH]


def _metric(comparison: Comparison) -> str:
    return f"{METRIC_NAMES[comparison.curves[0].meta.metric]} %"


def _rates(comparison: Comparison) -> ComparisonTable:
    original = comparison.original
    columns = [
        METHOD,
        SPLIT,
        Column("On front", "operating points on the curve's own Pareto front, of those measured"),
        Column(f"best {_metric(comparison)}", "highest accuracy of the curve"),
        *(
            Column(f"bpp at {MINUS}{drop:g}", f"bits per image pixel at {original - drop:.2f} %")
            for drop in DROPS
            if original is not None
        ),
    ]
    cells = [
        [
            *_who(curve),
            f"{len(curve.front)} of {len(curve.points)}",
            f"{max(point.accuracy for point in curve.points):.2f}",
            *(_rate_at(at) for at in rates if original is not None),
        ]
        for curve, rates in zip(comparison.curves, comparison.rates, strict=True)
        if curve.front and not curve.meta.bypassed
    ]
    known = "No result of the original network is here, so no drop can be stated."
    if original is not None:
        known = (
            f"The original network reaches {original:.2f} %. Rates are read off each curve's Pareto front, linear in "
            "log rate between neighbours, never extrapolated. \N{LESS-THAN OR EQUAL TO}: the lowest point measured is "
            "better than asked for, so its rate is an upper bound. In brackets: 95 % interval, bootstrap over images, "
            "the original network on the same redrawn images; never: that end is in draws that miss the accuracy."
        )
    return ComparisonTable("Rate at a drop in accuracy", known, make_rows(columns, cells))


def _rate_at(at: RateAt | None) -> str:
    if at is None:
        return DASH
    text = NEVER if at.bpp is None else f"{'≤ ' if at.is_bound else ''}{rate(at.bpp)}"
    if at.interval is None or at.interval == (None, None):
        return text
    low, high = ("never" if end is None else rate(end) for end in at.interval)
    return f"{text} [{low}, {high}]"


def _deltas(comparison: Comparison) -> ComparisonTable:
    columns = [
        METHOD,
        SPLIT,
        Column("Against", "the anchor, with its split where that is another", False),
        Column("BD-rate %", "mean difference in bits at equal accuracy; below zero: fewer bits than the anchor"),
        Column("95 %", "interval of BD-rate, bootstrap over images, both curves on the same redrawn images"),
        Column("Akima", "BD-rate by Akima interpolation, which can leave the range of the rates between two points"),
        Column("Seeds", "least and greatest BD-rate over the curve's seeds"),
        Column("BD-accuracy", "mean difference in percentage points at equal rate"),
        *(
            Column(f"\N{DIVISION SIGN} at {MINUS}{drop:g}", f"bits of the anchor over bits of this, {drop:g} below")
            for drop in DROPS
        ),
        Column("Overlap %", "accuracies that both reach, where rates are compared (share of all that either reaches)"),
        Column("Overlap bpp", "rates that both spend, where the accuracies are compared (share, in log rate)"),
        Column("Dropped", "points off the Pareto front left out: of this curve + of the anchor"),
    ]
    cells = [_delta_row(each) for each in comparison.against]
    return ComparisonTable("Bjøntegaard deltas", _delta_note(comparison), make_rows(columns, cells))


def _delta_note(comparison: Comparison) -> str:
    """Returns what holds for all deltas, and why some are not defined or not there."""
    deltas = [each.delta for each in comparison.against]
    reasons = sorted({why for delta in deltas for why in (delta.rate_reason, delta.accuracy_reason) if why})
    intervals = sorted({each.interval.reason for each in comparison.against if each.interval.reason})
    note = (
        "PCHIP interpolation (the `bjontegaard` package) of the points on each curve's Pareto front, over the overlap."
    )
    note += f" Undefined where {'; or where '.join(reasons)}." if reasons else ""
    note += f" No interval where {'; or where '.join(intervals)}." if intervals else ""
    excluded = "; ".join(f"{curve.label} ({why})" for curve, why in comparison.excluded)
    note += f" Not compared: {excluded}." if excluded else ""
    return note + (f" Not here: {', '.join(comparison.missing)}." if comparison.missing else "")


def _delta_row(each: Against) -> list[str]:
    delta: Delta = each.delta
    cut = each.anchor.meta.cut
    undefined = "undefined"
    return [
        *_who(each.curve),
        each.anchor.label + (f", {cut}" if cut and cut != each.curve.meta.cut else ""),
        undefined if delta.rate_percent is None else signed(delta.rate_percent, 1),
        signed_range(each.interval.interval, 1),
        undefined if delta.rate_percent_akima is None else signed(delta.rate_percent_akima, 1),
        signed_range(each.seeds, 1),
        undefined if delta.accuracy_points is None else signed(delta.accuracy_points, 2),
        *(significant(ratio) for ratio in each.ratios),
        _overlap(delta.overlap_accuracy, accuracy=True),
        _overlap(delta.overlap_bpp, accuracy=False),
        f"{delta.dropped[0]} + {delta.dropped[1]}",
    ]


def _overlap(overlap: Overlap | None, accuracy: bool) -> str:
    if overlap is None:
        return "none"
    low, high = (f"{end:.1f}" if accuracy else rate(end) for end in (overlap.low, overlap.high))
    return f"{low} to {high} ({100 * overlap.share:.0f} %)"


def _three_way(comparison: Comparison) -> ComparisonTable:
    best = {id(point) for point in comparison.three_way}
    columns = [
        METHOD,
        SPLIT,
        Column("Point", "operating point; * no other is at least as good in all three (references apart)", False),
        Column(_metric(comparison), "accuracy"),
        Column("bpp", "payload bits per image pixel"),
        Column("Encoder KB", "what the device must store"),
        Column("Frozen KB", "of these, the original network's own: nothing new for a device that has the network"),
        Column("Encoder MMACs", "multiply-accumulates on the device per image, millions"),
        Column("Size x rate", "encoder KB times payload KB per image (SC2's ExR), the lower the better"),
    ]
    cells = []
    for curve, point in _front_points(comparison):
        if point.mean("encoder_kilobytes") is None:
            continue
        macs = point.mean("encoder_macs")
        cells.append(
            [
                *_who(curve),
                f"{point.unit} *" if id(point) in best else point.unit,
                point_accuracy(point),
                rate(point.bpp),
                number(point.mean("encoder_kilobytes"), 0),
                number(point.mean("frozen_kilobytes"), 0),
                number(None if macs is None else macs / 1e6, 0),
                significant(encoder_times_rate(point)),
            ]
        )
    note = "SC2's measure: a late split spends few bits and much of the device; the three stand beside each other."
    return ComparisonTable("Encoder size, rate and accuracy", note, make_rows(columns, cells))


def _latency(comparison: Comparison) -> ComparisonTable:
    columns = [
        METHOD,
        SPLIT,
        POINT,
        Column(_metric(comparison), "accuracy"),
        Column("Payload B", "bytes that cross the link per image"),
        Column("Encode ms", "median time on the device per image"),
        Column("of it coding", "entropy coding or image codec, a median of its own"),
        Column("Decode ms", "median time on the server per image"),
        Column("of it coding", "entropy coding or image codec, a median of its own"),
        *(
            Column(f"ms at {link:g} Mbit/s", "encode + transfer + decode over a link of that rate")
            for link in LINK_RATES
        ),
    ]
    cells = [
        [
            *_who(curve),
            point.unit,
            point_accuracy(point),
            number(point.mean("payload_bytes"), 1),
            number(point.mean("encode_ms"), 1),
            number(point.mean("encode_coding_ms"), 1),
            number(point.mean("decode_ms"), 1),
            number(point.mean("decode_coding_ms"), 1),
            *(number(end_to_end_ms(point, link), 1) for link in LINK_RATES),
        ]
        for curve, point in _front_points(comparison)
        if end_to_end_ms(point, LINK_RATES[0]) is not None
    ]
    note = (
        "Compute and payload are measured; the link is emulated: payload bits over its rate, no round trip, no packet "
        f"headers.{timed_on([each for curve in comparison.curves for point in curve.points for each in point.points])}"
    )
    return ComparisonTable("End-to-end latency over a link", note, make_rows(columns, cells))


def _front_points(comparison: Comparison) -> list[tuple[Curve, CurvePoint]]:
    return [(curve, point) for curve in comparison.curves if not curve.meta.bypassed for point in curve.front]
