"""Colours of pictures: of bars, and of what is drawn around images."""

__all__ = ["BAR_COLOURS", "GREY", "INK", "SIGNAL", "TRACK", "WARNING"]

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
