"""The picture of a segmented image: the image, both label maps, and where they differ."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.answers import label_colours
from .canvas import MARGIN, Canvas, header_height
from .colours import GREY, SIGNAL
from .comparison import Comparison, percent
from .regions import name_regions

__all__ = ["difference_image", "draw_segments", "label_image"]

_LONGEST = 3.9  # inches: the longer side of a panel, four in a row
_LONGEST_OF_TWO = 5.5
_NARROWEST, _TALLEST = 2.3, 7.0  # inches: panels of tall images grow in width up to a height
_PAGE = 9.8  # inches: a page at least this wide holds its header
_WIDE = 1.6  # width over height from which two rows are made
_GAP = 0.3
_TITLE = 0.42
_CAPTION = 0.32
_LEGEND_ROW = 0.27
_SWATCH = 0.17
_FINE = 400  # pixels: so many let a line of one be thin
_DARKEST, _CONTRAST = 32, 0.42  # of agreeing pixels: in dark pictures too, differing ones stand out


def label_image(labels: NDArray[Any], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a label map (H, W) in colour, (k H, k W, 3), a white line between classes; k enlarges small maps."""
    factor = math.ceil(_FINE / min(labels.shape))
    labels = labels.repeat(factor, axis=0).repeat(factor, axis=1)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    pixels = colours[labels]
    pixels[edge] = 255
    return pixels


def difference_image(comparison: Comparison) -> NDArray[np.uint8]:
    """Returns the image (H, W, 3) in dark grey where the maps agree and in a signal colour where they differ."""
    grey = comparison.image.astype(np.float64) @ (0.299, 0.587, 0.114) * _CONTRAST + _DARKEST
    pixels = np.repeat(np.rint(grey).astype(np.uint8)[:, :, None], 3, axis=2)
    pixels[comparison.differing] = SIGNAL
    return pixels


def draw_segments(comparison: Comparison) -> Canvas:
    """Draws four panels, in a row or two by two if the image is wide, above a legend of the classes that occur."""
    before, after = comparison.before.astype(np.int64), comparison.after.astype(np.int64)
    occurring = [int(index) for index in np.union1d(before, after)]
    colours = label_colours(max(occurring) + 1)
    height, width = before.shape
    columns = 2 if width > _WIDE * height else 4
    scale = (_LONGEST if columns == 4 else _LONGEST_OF_TWO) / max(height, width)
    scale = max(scale, min(_NARROWEST / width, _TALLEST / height))
    panel_width, panel_height = width * scale, height * scale
    page_width = max(_PAGE, 2 * MARGIN + columns * panel_width + (columns - 1) * _GAP)
    legend = _Legend(comparison, occurring, page_width - 2 * MARGIN)
    top = header_height(comparison)
    bottom = top + 4 // columns * (_TITLE + panel_height + _CAPTION) + _GAP / 2
    canvas = Canvas(page_width, bottom + legend.height + MARGIN)
    canvas.header(comparison)
    panels = (
        (comparison.name, comparison.image, f"{width} x {height} pixels as prepared"),
        ("Original network", label_image(before, colours), "nothing coded"),
        (f"After {comparison.payload_bytes:,} bytes", label_image(after, colours), "decoded from the payload"),
        ("Difference", difference_image(comparison), f"{percent(1 - comparison.agreement)} of pixels differ"),
    )
    for number, (title, pixels, caption) in enumerate(panels):
        left = MARGIN + number % columns * (panel_width + _GAP)
        row = top + number // columns * (_TITLE + panel_height + _CAPTION)
        canvas.title(title, left, row, panel_width)
        enlarges = "bicubic" if number == 0 else "nearest"
        axes = canvas.image(pixels, left, row + _TITLE, panel_width, panel_height, enlarges)
        canvas.text(caption, left, row + _TITLE + panel_height + 0.2, 9.5, panel_width, color=GREY)
        if number in (1, 2):
            name_regions(canvas, axes, before if number == 1 else after, comparison, panel_width)
    legend.draw(canvas, bottom, colours)
    return canvas


class _Legend:
    """Swatches and names of classes in columns."""

    def __init__(self, comparison: Comparison, occurring: list[int], room: float) -> None:
        self.names = {index: comparison.class_name(index) for index in occurring}
        self.entry = min(room, 0.5 + 0.085 * max(map(len, self.names.values())))  # inches of one entry
        self.columns = max(1, int(room / self.entry))
        self.height = math.ceil(len(occurring) / self.columns) * _LEGEND_ROW

    def draw(self, canvas: Canvas, top: float, colours: NDArray[np.uint8]) -> None:
        for number, (index, name) in enumerate(self.names.items()):
            left, row = MARGIN + number % self.columns * self.entry, top + number // self.columns * _LEGEND_ROW
            look = {"facecolor": tuple(colours[index] / 255), "edgecolor": "#b0b0b0", "linewidth": 0.6}
            canvas.box(left, row, _SWATCH, _SWATCH, **look)
            canvas.text(name, left + _SWATCH + 0.09, row + 0.135, 9.5, self.entry - _SWATCH - 0.15)
