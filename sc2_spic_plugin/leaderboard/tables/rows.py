"""The cells of the leaderboard's rows, shared by all table renderers."""

from collections.abc import Sequence
from typing import NamedTuple

from ..results import METRIC_NAMES, Curve, CurvePoint, ResultFile, Source, build_curves
from ..statistics import bpp_at_accuracy, pareto_front
from ..styles import method_style
from .cells import DASH, Column, Rows, make_rows, number, point_accuracy, rate

__all__ = ["OPTIONAL_COLUMNS", "RATIO_TO", "build_rows"]

RATIO_TO = ("jpeg", "entropic_student")


class OptionalColumn(NamedTuple):
    """A column that tables show where it says something; values are divided by `scale`."""

    name: str
    heading: str
    digits: int
    meaning: str
    scale: float = 1.0


BEFORE_HARNESS = (
    OptionalColumn(
        "miou_all_classes", "mIoU all %", 2, "over all classes, as sc2bench takes it; none if one never occurs"
    ),
    OptionalColumn(
        "miou_present_classes", "mIoU present %", 2, "over the classes in any mask or prediction, as SPIC's code"
    ),
    OptionalColumn(
        "huffman_bytes", "Huffman B", 1, "bytes of the released Huffman coder and table, where it has a code"
    ),
    OptionalColumn("same_table_bytes", "Same-table B", 1, "bytes of our coder with the released table"),
    OptionalColumn("escapes", "Escapes", 2, "symbols per image that the released table lacks"),
)
AFTER_ENCODER = (
    OptionalColumn("frozen_kilobytes", "Frozen KB", 0, "of the encoder, the original network's own tensors"),
    OptionalColumn("encoder_macs", "Encoder MMACs", 0, "multiply-accumulates on the device per image, millions", 1e6),
    OptionalColumn("server_macs", "Server MMACs", 0, "multiply-accumulates on the server per image, millions", 1e6),
    OptionalColumn("encode_ms", "Encode ms", 1, "median time on the device per image"),
    OptionalColumn("decode_ms", "Decode ms", 1, "median time on the server per image"),
)
OPTIONAL_COLUMNS = (*BEFORE_HARNESS, *AFTER_ENCODER)


def build_rows(results: Sequence[ResultFile], ratio_to: Sequence[str] = RATIO_TO) -> Rows:
    """Makes the rows of one group, one per operating point; those of several seeds share one.

    Args:
        results: results of one group.
        ratio_to: methods that get a ratio column where the group has them.
    """
    curves = build_curves([Source(result) for result in results])
    front = {id(point) for point in pareto_front([p for curve in curves if curve.competes for p in curve.points])}
    anchors = {
        method: [point for curve in curves if curve.meta.method == method and curve.competes for point in curve.points]
        for method in ratio_to
    }
    anchors = {method: points for method, points in anchors.items() if points}
    with_split = any(curve.meta.cut for curve in curves)
    points = [point for curve in curves for point in curve.points]
    before, after = ([c for c in group if _says_something(c, points)] for group in (BEFORE_HARNESS, AFTER_ENCODER))
    metric = METRIC_NAMES[curves[0].meta.metric]
    seeds = any(len(point.origins) > 1 for point in points)
    columns = [
        Column(
            "Method", "what codes and decodes; how it was trained; `bypassed`: bits past the cut are not counted", False
        )
    ]
    columns += [Column("Split", "module after which the network is cut", False)] if with_split else []
    columns += [
        Column(
            "Point", "operating point; * on the Pareto front of the group (references and bypassed rows apart)", False
        ),
        Column(
            f"{metric} %",
            "accuracy from decoded data on the reported images [95 % bootstrap interval over images]"
            + ("; of several seeds the mean (least to greatest), as all numbers of the row are means" if seeds else ""),
        ),
        Column("bpp", "payload bits per image pixel, the protocol's pixels"),
        Column("Payload B", "bytes that cross the link per image, header included"),
        Column("Code B", "of these, the entropy-coded symbols alone"),
        *(Column(each.heading, each.meaning) for each in before),
        Column("Harness KB", "size of sc2bench's pickled object per image, for comparison with its published tables"),
        Column("Encoder KB", "what the device must store: network up to the cut, and unit"),
        *(Column(each.heading, each.meaning) for each in after),
    ]
    columns += [
        Column(
            f"{method_style(method).label} ÷ this",
            f"how many times the bits {method_style(method).label} needs for the same accuracy "
            f"(interpolated, never extrapolated; {DASH} outside its range)",
        )
        for method in anchors
    ]
    cells = []
    for curve in curves:
        for point in curve.points:
            row = [curve.label]
            row += [curve.meta.cut or DASH] if with_split else []
            row += [f"{point.unit} *" if id(point) in front else point.unit, point_accuracy(point), rate(point.bpp)]
            row += [number(point.mean("payload_bytes"), 1), number(point.mean("code_bytes"), 1)]
            row += [_optional(point, each) for each in before]
            row += [number(point.mean("harness_kilobytes"), 3), number(point.mean("encoder_kilobytes"), 0)]
            row += [_optional(point, each) for each in after]
            row += [_ratio(method, anchor, curve, point) for method, anchor in anchors.items()]
            cells.append(row)
    return make_rows(columns, cells)


def _optional(point: CurvePoint, column: OptionalColumn) -> str:
    value, unknown = point.mean(column.name), point.points[0].extra.get(f"{column.name}_unknown")
    text = number(None if value is None else value / column.scale, column.digits)
    return f"{text} ({unknown} without)" if unknown else text


def _says_something(column: OptionalColumn, points: Sequence[CurvePoint]) -> bool:
    """Returns whether any point has it; a convention of the mean IoU only where it makes a difference."""

    def differs(point: CurvePoint) -> bool:
        value, miou = point.mean(column.name), point.mean("miou")
        if not column.name.startswith("miou_"):
            return value is not None
        if miou is None or "miou_present_classes" not in point.points[0].extra:
            return False
        return value is None or abs(value - miou) > 5e-3

    return any(differs(point) for point in points)


def _ratio(baseline: str, anchor: Sequence[CurvePoint], curve: Curve, point: CurvePoint) -> str:
    if curve.meta.method == baseline or not point.bpp:
        return DASH
    needed = bpp_at_accuracy(anchor, point.accuracy, clamp=False)
    if needed is None:
        return DASH
    ratio = needed / point.bpp
    return number(ratio, 2 if ratio < 10 else 1 if ratio < 100 else 0)
