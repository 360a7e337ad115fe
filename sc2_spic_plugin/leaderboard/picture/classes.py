"""The picture of a classified image: the image, and the first five classes before and after."""

import numpy as np
from numpy.typing import NDArray

from .canvas import MARGIN, Canvas, header_height
from .colours import BAR_COLOURS, GREY, TRACK
from .comparison import Comparison, percent

__all__ = ["draw_classes", "first_classes"]

_SHOWN = 5
_SIDE = 3.5  # inches: the image's longer side, and the height of a list
_COLUMN = 3.1
_GAP = 0.5
_TITLE = 0.42
_NAME = 0.12  # from the top of a row to the baseline of its text
_BAR_TOP, _BAR = 0.22, 0.2
_PITCH = (_SIDE - _BAR_TOP - _BAR) / (_SHOWN - 1)


def first_classes(probabilities: NDArray[np.generic], count: int = _SHOWN) -> list[int]:
    """Returns the most probable classes of (classes,), best first; of equals the lower index."""
    return [int(index) for index in np.argsort(-probabilities.astype(np.float64), kind="stable")[:count]]


def draw_classes(comparison: Comparison) -> Canvas:
    """Draws the image left and two lists of bars right; a class has one colour in both."""
    height, width = comparison.image.shape[:2]
    scale = _SIDE / max(height, width)
    top = header_height(comparison)
    first_list = MARGIN + width * scale + _GAP
    canvas = Canvas(first_list + 2 * _COLUMN + _GAP + MARGIN, top + _TITLE + _SIDE + MARGIN)
    canvas.header(comparison)
    canvas.title(comparison.name, MARGIN, top, width * scale)
    canvas.image(comparison.image, MARGIN, top + _TITLE, width * scale, height * scale, "bicubic")

    before, after = first_classes(comparison.before), first_classes(comparison.after)
    colours = dict(zip(dict.fromkeys(before + after), BAR_COLOURS, strict=False))  # ten colours, at most ten classes
    lists = (
        ("Original network", before, comparison.before),
        (f"After {comparison.payload_bytes:,} bytes", after, comparison.after),
    )
    for number, (title, classes, probabilities) in enumerate(lists):
        left = first_list + number * (_COLUMN + _GAP)
        canvas.title(title, left, top, _COLUMN)
        for rank, index in enumerate(classes):
            row = top + _TITLE + rank * _PITCH
            _draw_row(canvas, left, row, comparison.class_name(index), float(probabilities[index]), colours[index])
    return canvas


def _draw_row(canvas: Canvas, left: float, top: float, name: str, probability: float, colour: str) -> None:
    """Writes name and probability of a class above its bar."""
    share = canvas.text(percent(probability), left + _COLUMN, top + _NAME, 10, ha="right", color=GREY)
    canvas.text(name, left, top + _NAME, 10, _COLUMN - canvas.extent(share)[0] - 0.15)
    canvas.box(left, top + _BAR_TOP, _COLUMN, _BAR, facecolor=TRACK, linewidth=0)
    canvas.box(left, top + _BAR_TOP, _COLUMN * min(1.0, probability), _BAR, facecolor=colour, linewidth=0)
