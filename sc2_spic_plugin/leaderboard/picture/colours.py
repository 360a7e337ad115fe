"""Colours of classes: few far apart for bars, many for label maps."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BAR_COLOURS", "GREY", "INK", "SIGNAL", "TRACK", "WARNING", "label_colours"]

INK = "#1a1a1a"
GREY = "#5c5c5c"
TRACK = "#ececec"
WARNING = "#a3123a"
SIGNAL = (255, 196, 0)
"""Marks differing pixels: brighter than anything around it, so that it shows in grey too."""

BAR_COLOURS = (
    "#0b3c8c", "#e69f00", "#117a55", "#c8342c", "#6a3d9a", "#56b4e9", "#8c564b", "#e377c2", "#606060", "#9aa800",
)  # fmt: skip
"""As many as two lists of five can need."""


def label_colours(count: int) -> NDArray[np.uint8]:
    """Returns `count` colours (count, 3) in the order known from PASCAL VOC.

    The bits of a class index are dealt out to red, green and blue in turn, its lowest bits to the highest bits of the
    colour: class 0 is black, and neighbouring classes lie far apart.
    """
    indices = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((indices >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colours
