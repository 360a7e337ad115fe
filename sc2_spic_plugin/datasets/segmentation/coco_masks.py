"""Drawing COCO's object annotations as masks of the 21 VOC classes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError

__all__ = ["CATEGORY_IDS", "class_of_category", "draw_mask", "import_pycocotools"]

CATEGORY_IDS = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
"""COCO's category of each VOC class, in VOC's order; the background is no category, and no annotation has id 0."""

class_of_category: Mapping[int, int] = {category: index for index, category in enumerate(CATEGORY_IDS) if index > 0}
"""The VOC class of the 20 COCO categories that are one."""


def import_pycocotools() -> tuple[Any, Any]:
    """Returns pycocotools' modules `coco` and `mask`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from pycocotools import coco, mask
    except ImportError as error:
        raise ConfigError(
            "COCO's annotations are read by pycocotools, which is not installed: "
            "run `pip install sc2-spic-plugin[coco]`."
        ) from error
    return coco, mask


def _shape(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Returns where an annotation lies, (H, W): of polygons their union, of a crowd its run lengths."""
    _, masks = import_pycocotools()
    if isinstance(segmentation, Mapping) and isinstance(segmentation["counts"], str | bytes):
        runs = dict(segmentation)  # already compressed
    else:
        runs = masks.frPyObjects(segmentation, height, width)
    drawn = np.asarray(masks.decode(runs))
    return drawn.astype(bool) if drawn.ndim == 2 else drawn.any(axis=2)


def draw_mask(objects: Iterable[tuple[int, Any]], height: int, width: int) -> NDArray[np.uint8]:
    """Draws objects in their order; a pixel belongs to the first object that claims it.

    Args:
        objects: class index and COCO segmentation (polygons or run lengths) of each.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Returns:
        The class index of each pixel (H, W), 0 where no object lies.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    for index, segmentation in objects:
        if isinstance(segmentation, Sequence) and not segmentation:
            continue
        mask[_shape(segmentation, height, width) & (mask == 0)] = index
    return mask
