"""The synthetic scenes with masks as a set of pairs: nothing to download, the same pixels everywhere."""

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import ConfigError, nearest
from ..synthetic import SPLITS
from ..synthetic.landscape import BODIES, STUFF, render_scene
from .pair_dataset import PairDataset, PairTransform
from .resizing import crop_size

__all__ = ["SyntheticScenes"]

_STREAM = 1
"""Keeps the scenes' random streams apart from those of the single objects."""


@cache
def _scene(
    seed: int, split: str, number: int, height: int, width: int, bodies: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Renders one scene, once a process: the configs of one comparison share their pictures."""
    rng = np.random.default_rng((seed, SPLITS.index(split), number, bodies, _STREAM))
    picture, mask = render_scene(rng, height, width, bodies, certain=number % bodies)
    picture.flags.writeable = mask.flags.writeable = False
    return picture, mask


class SyntheticScenes(PairDataset):
    """Photograph-like scenes with masks, rendered on first use and kept in memory.

    A backdrop, textured ground, and three to six textured bodies that hide each other; colours, light, shadows, stones
    and camera are drawn alike for all classes. Borders of bodies, and twigs before the camera, are void (about 5 % of
    the pixels). Body i mod (`num_classes` - 2) stands nearest in scene i, hidden by no other, so a set of
    `num_classes` - 2 or more scenes holds every class. A scene depends on (seed, split, number, `num_classes`, size)
    alone, however many others there are. The YAML that builds it:

        scenes/train: !import_call
          key: 'sc2_spic_plugin.datasets.SyntheticScenes'
          init:
            kwargs:
              split: 'train'
              samples: 400
              size: 96
              transforms: *train_transforms
    """

    def __init__(
        self,
        split: str = "train",
        samples: int = 400,
        size: int | Sequence[int] = 96,
        num_classes: int = 7,
        seed: int = 0,
        transforms: PairTransform | None = None,
        labelled: bool = True,
    ) -> None:
        """Describes the set; renders nothing yet.

        Args:
            split: `train`, `val` or `test`; no scene is in two of them.
            samples: number of scenes.
            size: one side of a square, or [height, width], in pixels, each 32 or more.
            num_classes: 3 to 12, backdrop and ground included; above 7, outlines have a second texture, a class of its
                own.
            seed: another seed, other scenes.
            transforms: applied to each image and mask together.
            labelled: False: all pixels are void.

        Raises:
            ConfigError: a value is not one of those allowed.
        """
        super().__init__(transforms, labelled)
        if split not in SPLITS:
            raise ConfigError(f"There is no split `{split}` of the synthetic scenes. {nearest(split, SPLITS)}")
        names = (*STUFF, *BODIES)
        if not len(STUFF) < num_classes <= len(names):
            raise ConfigError(
                f"`num_classes` is {num_classes}; the synthetic scenes have {len(STUFF) + 1} to {len(names)} classes."
            )
        self.height, self.width = crop_size(size)
        if samples < 1 or seed < 0 or min(self.height, self.width) < 32:
            raise ConfigError(
                "`samples` must be at least 1, `seed` at least 0 and each side at least 32 pixels; "
                f"they are {samples}, {seed} and {size}."
            )
        self.split, self.seed = split, seed
        self.classes = list(names[:num_classes])
        self.ids = [f"{number:05d}.png" for number in range(samples)]

    def arrays(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Returns one picture (H, W, 3) and its mask (H, W); do not write to them."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no scene {index}; the set has {len(self)}.")
        return _scene(self.seed, self.split, index, self.height, self.width, len(self.classes) - len(STUFF))

    def image(self, index: int) -> Image.Image:
        """Returns one picture (RGB)."""
        return Image.fromarray(self.arrays(index)[0])

    def mask(self, index: int) -> Image.Image:
        """Returns one mask (mode L)."""
        return Image.fromarray(self.arrays(index)[1])

    def digest(self) -> str:
        """Returns the SHA-256 (hex) over the parameters and the first scenes, one for each body.

        It changes with anything that changes the pictures, the rendering code included.
        """
        digest = hashlib.sha256(repr(self).encode())
        for index in range(min(len(self), len(self.classes) - len(STUFF))):
            for array in self.arrays(index):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        """Returns the parameters."""
        return (
            f"{type(self).__name__}(split={self.split!r}, samples={len(self)}, size=[{self.height}, {self.width}], "
            f"num_classes={len(self.classes)}, seed={self.seed})"
        )
