"""What a network's output says: the most probable classes of an image, or the class of every pixel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import ConfigError

__all__ = ["class_name", "class_shares", "first_classes", "label_colours", "label_map", "mask_image", "scores_of"]

_LABELS = 256


def scores_of(output: Any) -> Tensor:
    """Returns the scores in a network's output: (B, classes), or (B, classes, H, W) of a segmentation network."""
    scores: Tensor = output["out"] if isinstance(output, Mapping) else output
    return scores


def class_name(classes: Sequence[str] | None, index: int) -> str:
    """Returns the name of a class, or its number where names are not known."""
    return f"class {index}" if classes is None or index >= len(classes) else classes[index]


def first_classes(scores: Tensor, count: int = 5) -> list[tuple[int, float]]:
    """Returns the most probable classes of (classes,) scores with their probabilities, best first."""
    probabilities = scores.float().softmax(dim=0).cpu()
    order = probabilities.argsort(descending=True, stable=True)[:count]
    return [(int(index), float(probabilities[index])) for index in order]


def label_map(scores: Tensor) -> NDArray[np.int64]:
    """Returns the class (H, W) of every pixel of (classes, H, W) scores."""
    return np.asarray(scores.argmax(dim=0).cpu().numpy())


def class_shares(labels: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Returns the classes of a label map with their shares of the pixels, the largest first."""
    found, counts = np.unique(labels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(found[place]), float(counts[place] / labels.size)) for place in order]


def mask_image(labels: NDArray[np.int64]) -> Image.Image:
    """Returns a palette image whose pixels are the class indices, in the colours known from PASCAL VOC.

    Raises:
        ConfigError: there are more classes than 8 bits hold.
    """
    if int(labels.max(initial=0)) >= _LABELS:
        raise ConfigError(f"a mask of 8 bits holds {_LABELS} classes, this one more; use `label_map` from Python.")
    mask = Image.fromarray(labels.astype(np.uint8)).convert("L")
    mask.putpalette(label_colours(_LABELS).tobytes())
    return mask


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
