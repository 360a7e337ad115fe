"""Pictures of one image before and after its payload: the first classes or the label maps of both."""

from pathlib import Path

from .canvas import check_picture_path
from .classes import draw_classes
from .coded import CodedOutput, code_image
from .comparison import Comparison
from .seen import network_input, visible_image
from .segments import draw_segments

__all__ = [
    "CodedOutput",
    "Comparison",
    "check_picture_path",
    "code_image",
    "draw_comparison",
    "network_input",
    "visible_image",
]


def draw_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Draws the image, the original network's output and the output after real bytes, with the payload size.

    Classification shows the top five classes of both as bars, segmentation both label maps and where they differ.

    Args:
        comparison: what to draw.
        path: a .png file, written whole or not at all, the same bytes for the same comparison.

    Raises:
        ConfigError: the path has another ending.
    """
    target = check_picture_path(path)
    draw = draw_classes if comparison.task == "classification" else draw_segments
    return draw(comparison).save(target)
