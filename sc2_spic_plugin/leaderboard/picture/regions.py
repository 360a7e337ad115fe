"""Names written on the regions of a label map, so that it reads without its colours."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .comparison import Comparison

__all__ = ["name_regions"]

_SIZE = 8  # points
_COVERED = 0.9  # how much of a name must lie on its own class


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "_Box") -> bool:
        beside = self.right <= other.left or self.left >= other.right
        return not (beside or self.bottom <= other.top or self.top >= other.bottom)

    def lies_on(self, region: NDArray[np.bool_]) -> bool:
        """Says whether the box is within (H, W) and mostly on what is True there."""
        if self.left < 0 or self.top < 0 or self.right > region.shape[1] or self.bottom > region.shape[0]:
            return False
        rows, columns = slice(int(self.top), int(self.bottom) + 1), slice(int(self.left), int(self.right) + 1)
        return bool(region[rows, columns].mean() >= _COVERED)


def name_regions(canvas: Canvas, axes: Any, labels: NDArray[Any], comparison: Comparison, panel_width: float) -> None:
    """Writes each class's name at the point deepest inside it, where the name has room.

    Args:
        canvas: the page.
        axes: those that show the label map.
        labels: (H, W) class indices.
        comparison: knows the names.
        panel_width: of the map on the page, in inches.
    """
    from matplotlib.patheffects import withStroke
    from scipy.ndimage import distance_transform_edt

    pixels_per_inch = labels.shape[1] / panel_width
    taken: list[_Box] = []
    for index in np.unique(labels):
        region = labels == index
        depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        deep = np.argwhere(depth >= 0.95 * depth.max())  # (n, 2): a long region is as deep in many places
        y, x = (int(position) for position in deep[np.square(deep - deep.mean(axis=0)).sum(axis=1).argmin()])
        place = ((x + 0.5) / labels.shape[1], 1 - (y + 0.5) / labels.shape[0], comparison.class_name(int(index)))
        written = axes.text(*place, fontsize=_SIZE, color="white", fontweight="bold", ha="center", va="center",
                            parse_math=False, transform=axes.transAxes)  # fmt: skip
        written.set_path_effects([withStroke(linewidth=2, foreground="black")])
        width, height = (side * pixels_per_inch / 2 for side in canvas.extent(written))
        box = _Box(x - width, y - height, x + width, y + height)
        if box.lies_on(region) and not any(box.overlaps(other) for other in taken):
            taken.append(box)
        else:
            written.remove()
