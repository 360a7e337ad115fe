"""A page measured in inches from its upper left corner, on which pictures put images and text that fits."""

import io
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...ops import write_atomic
from .colours import GREY, INK, WARNING
from .comparison import Comparison

__all__ = ["DPI", "MARGIN", "Canvas", "check_picture_path", "header_height"]

DPI = 150
MARGIN = 0.4
_LINES = (0.56, 0.82, 1.06)  # inches from the top to the baselines of the header


def check_picture_path(path: str | Path) -> Path:
    """Returns the path of a picture.

    Raises:
        ConfigError: it does not end in .png.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"Pictures are written as .png, got `{path.name}`.")
    return path


def header_height(comparison: Comparison) -> float:
    """Returns how many inches the lines above a picture take, the margin included."""
    return (_LINES[2] if comparison.bypassed else _LINES[1]) + 0.18


class Canvas:
    """The page; every measure is in inches, downwards from the top.

    Args:
        width: of the page.
        height: of the page.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Returns bare axes in a rectangle."""
        bottom = self.height - top - height
        axes = self.figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))
        axes.set_axis_off()
        return axes

    def image(
        self, pixels: Any, left: float, top: float, width: float, height: float, enlarges: str = "nearest"
    ) -> Any:
        """Shows (H, W, 3) pixels in a rectangle with a hairline around it; returns the axes.

        `enlarges` is matplotlib's interpolation for images of fewer pixels than the rectangle has.
        """
        axes = self.axes(left, top, width, height)
        grows = pixels.shape[1] <= width * DPI
        axes.imshow(pixels, aspect="auto", interpolation=enlarges if grows else "antialiased")
        self.box(left, top, width, height, facecolor="none", edgecolor="#b0b0b0", linewidth=0.6)
        return axes

    def box(self, left: float, top: float, width: float, height: float, **look: Any) -> None:
        """Draws a rectangle."""
        from matplotlib.patches import Rectangle

        corner = (left / self.width, 1 - (top + height) / self.height)
        size = (width / self.width, height / self.height)
        self.figure.add_artist(Rectangle(corner, *size, transform=self.figure.transFigure, **look))

    def text(
        self, text: str, left: float, top: float, size: float = 9.5, room: float | None = None, **look: Any
    ) -> Any:
        """Writes one line whose baseline is at `top`, cut with an ellipsis to `room` inches."""
        look = {"color": INK, "ha": "left", "va": "baseline", **look}
        written = self.figure.text(
            left / self.width, 1 - top / self.height, text, fontsize=size, parse_math=False, **look
        )
        while room is not None and len(text) > 1 and self.extent(written)[0] > room:
            text = text[:-1].rstrip()
            written.set_text(f"{text}…")
        return written

    def title(self, text: str, left: float, top: float, room: float) -> None:
        """Writes the heading of a panel that begins at `top`."""
        self.text(text, left, top + 0.26, 11, room, fontweight="bold")

    def extent(self, written: Any) -> tuple[float, float]:
        """Returns width and height of a text."""
        box = written.get_window_extent(self._renderer)
        return box.width / DPI, box.height / DPI

    def header(self, comparison: Comparison) -> None:
        """Writes the lines that every picture begins with."""
        room = self.width - 2 * MARGIN
        self.text(comparison.headline, MARGIN, _LINES[0], 15, room, fontweight="bold")
        known = [comparison.method, f"unit {comparison.unit}"]
        known += [f"cut after {comparison.cut}"] if comparison.cut else []
        known += [f"{comparison.code_bytes:,} of the bytes are code"]
        self.text(" · ".join(known), MARGIN, _LINES[1], 10, room, color=GREY)
        if comparison.bypassed:
            warning = "bypassed: tensors cross beside the payload at this cut, and their bytes are not counted"
            self.text(warning, MARGIN, _LINES[2], 10, room, color=WARNING, fontweight="bold")

    def save(self, path: Path) -> Path:
        """Writes the page as PNG, whole or not at all."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return write_atomic(path, buffer.getvalue())
