"""Joint transforms of random geometry, for training; all draw from torch's generator, seeded in every worker."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, functional

from ...errors import ConfigError
from .conversion import as_pil_pair
from .resizing import crop_size, interpolation_mode, pad_pair, resize_pair

__all__ = ["PairRandomCrop", "PairRandomHorizontalFlip", "PairRandomResize"]


def _draw_integer(low: int, high: int) -> int:
    """Returns an integer from low to high, both possible."""
    return int(torch.randint(low, high + 1, ()).item())


class PairRandomResize:
    """Resizes the shorter side to a random length, given in pixels or as a part of its own length.

    The YAML that builds it:

        !import_call
          key: 'sc2_spic_plugin.datasets.PairRandomResize'
          init:
            kwargs:
              min_size: 260
              max_size: 1040
    """

    def __init__(
        self,
        min_size: int | None = None,
        max_size: int | None = None,
        scale: Sequence[float] | None = None,
        interpolation: str | InterpolationMode = "bilinear",
    ) -> None:
        """Keeps the range.

        Args:
            min_size: least length of the shorter side, in pixels.
            max_size: greatest length, in pixels; None: `min_size`.
            scale: instead of both: least and greatest factor.
            interpolation: of the image, by torchvision's names.

        Raises:
            ConfigError: not exactly one kind of range, or an empty one.
        """
        if (min_size is None) == (scale is None) or (max_size is not None and min_size is None):
            raise ConfigError("Give `PairRandomResize` either `min_size` (and `max_size`) in pixels, or `scale`.")
        self.sizes = None if min_size is None else (min_size, min_size if max_size is None else max_size)
        self.scale = None if scale is None else (float(scale[0]), float(scale[-1]))
        low, high = self.sizes or self.scale or (0, 0)
        if not 0 < low <= high:
            raise ConfigError(f"The range of `PairRandomResize` goes from {low} to {high}; it must rise from above 0.")
        self.interpolation = interpolation_mode(interpolation)

    def __call__(self, image: Any, mask: Any) -> tuple[Image.Image, Image.Image]:
        """Returns the resized pair."""
        image, mask = as_pil_pair(image, mask, self)
        if self.sizes is not None:
            size = _draw_integer(*self.sizes)
        else:
            low, high = self.scale or (1.0, 1.0)
            factor = low + (high - low) * float(torch.rand(()))
            size = max(1, round(min(image.size) * factor))
        return resize_pair(image, mask, size, self.interpolation)

    def __repr__(self) -> str:
        """Returns the range."""
        return f"{type(self).__name__}(sizes={self.sizes}, scale={self.scale})"


class PairRandomCrop:
    """Cuts out a random part; a pair that is too small is first enlarged to the right and below.

    What is added counts for nothing: image 0, mask void.
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        """Keeps the size: one side of a square, or [height, width], in pixels.

        Raises:
            ConfigError: the size cannot be used.
        """
        self.size = crop_size(size)

    def __call__(self, image: Any, mask: Any) -> tuple[Image.Image, Image.Image]:
        """Returns a part of the pair."""
        image, mask = as_pil_pair(image, mask, self)
        height, width = self.size
        sides = [0, 0, max(width - mask.width, 0), max(height - mask.height, 0)]
        if any(sides):
            image, mask = pad_pair(image, mask, sides)
        left, top = _draw_integer(0, mask.width - width), _draw_integer(0, mask.height - height)
        box = (left, top, left + width, top + height)
        return image.crop(box), mask.crop(box)

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(size={self.size})"


class PairRandomHorizontalFlip:
    """Mirrors image and mask together, left to right, with a probability."""

    def __init__(self, p: float = 0.5) -> None:
        """Keeps the probability.

        Raises:
            ConfigError: it is none.
        """
        if not 0.0 <= p <= 1.0:
            raise ConfigError(f"`p` is {p}; a probability lies between 0 and 1.")
        self.p = p

    def __call__(self, image: Any, mask: Any) -> tuple[Image.Image, Image.Image]:
        """Returns the pair, mirrored or not."""
        image, mask = as_pil_pair(image, mask, self)
        if float(torch.rand(())) < self.p:
            return functional.hflip(image), functional.hflip(mask)
        return image, mask

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(p={self.p})"
