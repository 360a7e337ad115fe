"""What tells the curves of one picture apart, in plots and in the report."""

from collections.abc import Sequence

from ..results import Curve
from ..styles import ORIGINAL_METHOD, SENT_OUTPUT_METHODS

__all__ = ["curve_dashes", "curve_legend", "curve_panels", "image_pixels", "is_curve", "label_dashes"]

DASHES = 4  # as many are told apart at a glance
CROWD = 10  # more curves of several splits do not share one pair of axes


def curve_dashes(curves: Sequence[Curve]) -> list[int]:
    """Returns which dash each curve's line has, 0 to 3.

    Where the curves are of several splits, each split has a dash, and open markers tell supervision; else curves of one
    method are numbered.
    """
    cuts = sorted({curve.meta.cut for curve in curves if curve.meta.cut})
    several = len(cuts) > 1
    seen: dict[tuple[str | None, ...], int] = {}
    numbers = []
    for curve in curves:
        meta = curve.meta
        key = (meta.method, meta.supervision, meta.cut) if several else (meta.method,)
        first = cuts.index(meta.cut) if several and meta.cut else 0
        numbers.append(first + seen.get(key, 0) * max(len(cuts), 1))
        seen[key] = seen.get(key, 0) + 1
    return [value % DASHES for value in numbers]


def curve_legend(curve: Curve, curves: Sequence[Curve]) -> str:
    """Returns the curve's label, with its split where the curves have several."""
    several = len({each.meta.cut for each in curves if each.meta.cut}) > 1
    return curve.label + (f", {curve.meta.cut}" if several and curve.meta.cut else "")


def curve_panels(curves: Sequence[Curve], wanted: bool | None = None) -> list[tuple[str, list[Curve]]]:
    """Sorts curves into one panel for each split; what has no split stands in every panel.

    Args:
        curves: of one picture.
        wanted: None: where more than ten curves are of several splits.

    Returns:
        Panels by the name of their split; none where one pair of axes takes all.
    """
    cuts = sorted({curve.meta.cut for curve in curves if curve.meta.cut})
    several = len(cuts) > 1
    if wanted is None:
        wanted = several and sum(curve.meta.cut is not None for curve in curves) > CROWD
    if not wanted or not several:
        return []
    return [(cut, [each for each in curves if each.meta.cut in (cut, None)]) for cut in cuts]


def label_dashes(curves: Sequence[Curve]) -> list[int]:
    """Returns which dash each curve's line has where every split has a panel: a method's labels are numbered."""
    labels: dict[str, dict[str, int]] = {}
    numbers = []
    for curve in curves:
        known = labels.setdefault(curve.meta.method, {})
        numbers.append(known.setdefault(curve.label, len(known)) % DASHES)
    return numbers


def is_curve(curve: Curve) -> bool:
    """Returns whether it is drawn as a curve: neither the original network nor its output sent."""
    return curve.meta.method not in (ORIGINAL_METHOD, *SENT_OUTPUT_METHODS)


def image_pixels(curves: Sequence[Curve]) -> float | None:
    """Returns the image pixels behind all rates, or None where points disagree or sizes are missing."""
    points = [measured for curve in curves for point in curve.points for measured in point.points if measured.bpp]
    if not points or any(point.payload_bytes is None for point in points):
        return None
    pixels = [float(point.payload_bytes or 0) * 8 / float(point.bpp or 1) for point in points]
    return pixels[0] if max(pixels) - min(pixels) <= 0.01 * max(pixels) else None
