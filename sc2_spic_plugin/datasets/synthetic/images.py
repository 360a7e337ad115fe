"""The synthetic image set as a torch data set: nothing to download, the same pixels everywhere."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from ...errors import ConfigError, nearest
from .scene import CLASSES, render

__all__ = ["SPLITS", "SyntheticImages"]

SPLITS = ("train", "val", "test")
"""The splits; each draws from random streams of its own, so no image is in two of them."""


@cache
def _picture(seed: int, split: str, name: str, number: int, size: int) -> NDArray[np.uint8]:
    """Renders one picture, once a process: the configs of one comparison share their pictures."""
    stream = (seed, SPLITS.index(split), list(CLASSES).index(name), number)
    picture = render(name, np.random.default_rng(stream), size)
    picture.flags.writeable = False
    return picture


class SyntheticImages(Dataset):
    """Photograph-like pictures of textured objects, rendered on first use and kept in memory.

    Two classes share each outline and differ in texture alone; colours, light, background, clutter and camera are drawn
    alike for all classes. A picture depends on (seed, split, class, number) alone, however many others there are. Item
    i is of class i mod `num_classes`, so any leading part of the set is balanced; class indices follow the sorted class
    names, as in an image folder. The YAML that builds it:

        synthetic/train: !import_call
          key: 'sc2_spic_plugin.datasets.SyntheticImages'
          init:
            kwargs:
              split: 'train'
              samples_per_class: 300
              transform: *train_transform
    """

    def __init__(
        self,
        split: str = "train",
        samples_per_class: int = 300,
        size: int = 64,
        num_classes: int = 8,
        seed: int = 0,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        """Describes the set; renders nothing yet.

        Args:
            split: `train`, `val` or `test`.
            samples_per_class: pictures per class.
            size: height and width in pixels, 16 or more.
            num_classes: 2 to 10; even numbers keep the outlines in pairs.
            seed: another seed, other pictures.
            transform: applied to each PIL image (RGB).

        Raises:
            ConfigError: a value is not one of those allowed.
        """
        if split not in SPLITS:
            raise ConfigError(f"There is no split `{split}` of the synthetic images. {nearest(split, SPLITS)}")
        if not 2 <= num_classes <= len(CLASSES):
            raise ConfigError(f"`num_classes` is {num_classes}; the synthetic images have 2 to {len(CLASSES)} classes.")
        if samples_per_class < 1 or size < 16 or seed < 0:
            raise ConfigError(
                f"`samples_per_class` must be at least 1, `size` at least 16 and `seed` at least 0; "
                f"they are {samples_per_class}, {size} and {seed}."
            )
        self.split, self.samples_per_class, self.size, self.seed = split, samples_per_class, size, seed
        self.transform = transform
        self.classes: list[str] = sorted(list(CLASSES)[:num_classes])
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self.targets: list[int] = [index % num_classes for index in range(num_classes * samples_per_class)]
        self.ids: list[str] = [
            f"{self.classes[target]}/{index // num_classes:05d}.png" for index, target in enumerate(self.targets)
        ]

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.targets)

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """Returns one picture (size, size, 3), RGB; do not write to it."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no picture {index}; the set has {len(self)}.")
        name, number = self.classes[self.targets[index]], index // len(self.classes)
        return _picture(self.seed, self.split, name, number, self.size)

    def stacked(self) -> NDArray[np.uint8]:
        """Returns all pictures (N, size, size, 3), in order.

        Call it before making loader workers: they inherit what is rendered, and else each renders for itself.
        """
        return np.stack([self.pixels(index) for index in range(len(self))])

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Returns one picture, a PIL image or what the transform makes of it, and its class index."""
        image = Image.fromarray(self.pixels(index))
        return (image if self.transform is None else self.transform(image)), self.targets[index]

    def digest(self) -> str:
        """Returns the SHA-256 (hex) over the parameters and the first picture of every class.

        It changes with anything that changes the pictures, the rendering code included.
        """
        parameters = (self.split, self.samples_per_class, self.size, len(self.classes), self.seed)
        digest = hashlib.sha256(repr(parameters).encode())
        for index in range(len(self.classes)):
            digest.update(self.pixels(index).tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        """Returns the parameters."""
        return (
            f"{type(self).__name__}(split={self.split!r}, samples_per_class={self.samples_per_class}, "
            f"size={self.size}, num_classes={len(self.classes)}, seed={self.seed})"
        )
