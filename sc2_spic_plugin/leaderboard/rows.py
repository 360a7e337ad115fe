"""Groups of comparable results and the cells of their rows, shared by all table renderers."""

from collections.abc import Sequence
from typing import NamedTuple

from .point import Point
from .result import ResultFile
from .statistics import bpp_at_accuracy, pareto_front
from .styles import method_rank, method_style

__all__ = ["DASH", "EXTRA_COLUMNS", "Group", "Rows", "build_rows", "curve_label", "group_results"]

DASH = "\N{EN DASH}"
METRIC_NAMES = {"top1": "Top-1", "miou": "mIoU"}


class ExtraColumn(NamedTuple):
    """A further column of points that tables show where it says something."""

    name: str
    heading: str
    digits: int
    meaning: str


EXTRA_COLUMNS = (
    ExtraColumn(
        "miou_all_classes", "mIoU all %", 2, "over all classes, as sc2bench takes it; none if one never occurs"
    ),
    ExtraColumn(
        "miou_present_classes", "mIoU present %", 2, "over the classes in any mask or prediction, as SPIC's code"
    ),
    ExtraColumn("huffman_bytes", "Huffman B", 1, "bytes of the released Huffman coder and table, where it has a code"),
    ExtraColumn("same_table_bytes", "Same-table B", 1, "bytes of our coder with the released table"),
    ExtraColumn("escapes", "Escapes", 2, "symbols per image that the released table lacks"),
)


class Group(NamedTuple):
    """Results that may share a table: one task, protocol, data set and network."""

    task: str
    protocol: str
    protocol_sha256: str | None
    dataset: str
    network: str
    network_sha256: str | None

    @property
    def heading(self) -> str:
        """One line that tells this group from every other."""
        digests = [
            f"{what} {digest[:8]}"
            for what, digest in (("network", self.network_sha256), ("protocol", self.protocol_sha256))
            if digest
        ]
        return f"{self.network} on {self.dataset}, protocol {self.protocol}" + (
            f" ({', '.join(digests)})" if digests else ""
        )


class Rows(NamedTuple):
    """Headings, what each means (one line), whether numbers (right-aligned), and the cells."""

    headings: list[str]
    meanings: list[str]
    numeric: list[bool]
    cells: list[list[str]]


def group_results(results: Sequence[ResultFile]) -> dict[Group, list[ResultFile]]:
    """Sorts results into groups that may share a table, methods in their fixed order."""
    groups: dict[Group, list[ResultFile]] = {}
    for result in results:
        meta = result.meta
        key = Group(meta.task, meta.protocol, meta.protocol_sha256, meta.dataset, meta.network, meta.network_sha256)
        groups.setdefault(key, []).append(result)
    for members in groups.values():
        members.sort(key=_order)
    return dict(sorted(groups.items(), key=lambda item: tuple(str(value) for value in item[0])))


def _order(result: ResultFile) -> tuple[object, ...]:
    meta = result.meta
    asides = (meta.bypassed, meta.bits != "measured")
    return method_rank(meta.method), *asides, meta.supervision or "", meta.cut or "", result.name


def curve_label(result: ResultFile) -> str:
    """Returns the method's label with what sets the result apart: supervision, bypass, bits not measured here."""
    meta = result.meta
    marks = [meta.supervision or "", "bypassed" if meta.bypassed else "", _BITS_MARKS[meta.bits]]
    shown = ", ".join(mark for mark in marks if mark)
    return method_style(meta.method).label + (f" ({shown})" if shown else "")


_BITS_MARKS = {"measured": "", "estimated": "estimated bits", "published": "as published"}


def _number(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"


def _rate(value: float | None) -> str:
    return DASH if value is None else (f"{value:.4f}" if value >= 0.01 else f"{value:#.3g}")


def _extra(point: Point, column: ExtraColumn) -> str:
    value, unknown = point.extra.get(column.name), point.extra.get(f"{column.name}_unknown")
    text = _number(None if value is None else float(value), column.digits)
    return f"{text} ({unknown} without)" if unknown else text


def _shown_extras(points: Sequence[Point]) -> list[ExtraColumn]:
    """Returns the further columns of these points; a convention of the mean IoU only where it makes a difference."""

    def differs(point: Point, name: str) -> bool:
        if not name.startswith("miou_"):
            return name in point.extra
        value = point.extra.get(name)
        return (
            point.miou is not None
            and "miou_present_classes" in point.extra
            and (value is None or abs(float(value) - point.miou) > 5e-3)
        )

    return [column for column in EXTRA_COLUMNS if any(differs(point, column.name) for point in points)]


def _accuracy(point: Point) -> str:
    text = f"{point.accuracy:.2f}"
    if point.confidence_low is None:
        return text
    return f"{text} [{point.confidence_low:.1f}, {point.confidence_high:.1f}]"


def _competes(result: ResultFile) -> bool:
    meta = result.meta
    return not method_style(meta.method).reference and not meta.bypassed and meta.bits == "measured"


def _ratio(baseline: str, curve: Sequence[Point], result: ResultFile, point: Point) -> str:
    if result.meta.method == baseline or not point.bpp:
        return DASH
    needed = bpp_at_accuracy(curve, point.accuracy, clamp=False)
    if needed is None:
        return DASH
    ratio = needed / point.bpp
    return _number(ratio, 2 if ratio < 10 else 1 if ratio < 100 else 0)


def build_rows(results: Sequence[ResultFile], ratio_to: Sequence[str] = ("jpeg", "entropic_student")) -> Rows:
    """Makes the rows of one group.

    Args:
        results: results of one group, in the order wanted.
        ratio_to: methods that get a ratio column where the group has them.
    """
    front = {id(point) for point in pareto_front([p for r in results if _competes(r) for p in r.points])}
    curves = {
        method: [point for r in results if r.meta.method == method and _competes(r) for point in r.points]
        for method in ratio_to
    }
    curves = {method: points for method, points in curves.items() if points}
    with_split = any(result.meta.cut for result in results)
    extras = _shown_extras([point for result in results for point in result.points])
    metric = METRIC_NAMES[results[0].meta.metric]
    columns = [("Method", "what codes and decodes; how it was trained; `bypassed`: bits past the cut are not counted")]
    columns += [("Split", "module after which the network is cut")] if with_split else []
    columns += [
        ("Point", "operating point; * on the Pareto front of the group (references and bypassed rows apart)"),
        (f"{metric} %", "accuracy from decoded data on the reported images [95 % bootstrap interval over images]"),
        ("bpp", "payload bits per image pixel, the protocol's pixels"),
        ("Payload B", "bytes that cross the link per image, header included"),
        ("Code B", "of these, the entropy-coded symbols alone"),
        *((column.heading, column.meaning) for column in extras),
        ("Harness KB", "size of sc2bench's pickled object per image, for comparison with its published tables"),
        ("Encoder KB", "what the device must store: network up to the cut, and unit"),
    ]
    columns += [
        (
            f"{method_style(method).label} ÷ this",
            f"how many times the bits {method_style(method).label} needs for the same accuracy "
            f"(interpolated, never extrapolated; {DASH} outside its range)",
        )
        for method in curves
    ]
    cells = []
    for result in results:
        seeds = {point.seed for point in result.points}
        for point in result.points:
            name = point.unit + (f" seed {point.seed}" if len(seeds) > 1 else "")
            row = [curve_label(result)]
            row += [result.meta.cut or DASH] if with_split else []
            row += [f"{name} *" if id(point) in front else name, _accuracy(point), _rate(point.bpp)]
            row += [_number(point.payload_bytes, 1), _number(point.code_bytes, 1)]
            row += [_extra(point, column) for column in extras]
            row += [_number(point.harness_kilobytes, 3), _number(point.encoder_kilobytes, 0)]
            row += [_ratio(method, curve, result, point) for method, curve in curves.items()]
            cells.append(row)
    headings = [heading for heading, _ in columns]
    numeric = [heading not in ("Method", "Split", "Point") for heading in headings]
    return Rows(headings, [meaning for _, meaning in columns], numeric, cells)
