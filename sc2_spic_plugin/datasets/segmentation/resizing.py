"""Joint transforms of fixed geometry: the shorter side to a size, and the middle of the picture."""

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torchvision.transforms import InterpolationMode, functional

from ...errors import ConfigError, nearest
from .conversion import as_pil_pair
from .masks import VOID_LABEL

__all__ = ["PairCenterCrop", "PairResize", "crop_size", "interpolation_mode", "pad_pair", "resize_pair"]


def interpolation_mode(interpolation: str | InterpolationMode) -> InterpolationMode:
    """Returns torchvision's interpolation of a name.

    Raises:
        ConfigError: there is no such interpolation.
    """
    try:
        return InterpolationMode(interpolation)
    except ValueError as error:
        names = [mode.value for mode in InterpolationMode]
        raise ConfigError(
            f"There is no interpolation `{interpolation}`. {nearest(str(interpolation), names)}"
        ) from error


def crop_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Returns (height, width) of a crop given as one side of a square, or as [height, width].

    Raises:
        ConfigError: it is neither, or not positive.
    """
    sides = [size] if isinstance(size, int) else list(size)
    if len(sides) not in (1, 2) or any(not isinstance(side, int) or side < 1 for side in sides):
        raise ConfigError(f"`size` is {size}; give one side in pixels, or [height, width].")
    return sides[0], sides[-1]


def resize_pair(
    image: Image.Image, mask: Image.Image, size: int | Sequence[int], interpolation: InterpolationMode
) -> tuple[Image.Image, Image.Image]:
    """Returns the pair resized: the image interpolated, the mask by nearest neighbour so that no label is invented.

    Args:
        image: the image.
        mask: its mask.
        size: the shorter side (the longer one is cut to whole pixels), or [height, width].
        interpolation: of the image.
    """
    wanted = size if isinstance(size, int) else list(size)
    return (
        functional.resize(image, wanted, interpolation),
        functional.resize(mask, wanted, InterpolationMode.NEAREST),
    )


class PairResize:
    """Resizes image and mask, as torchvision's `Resize` does; the mask by nearest neighbour.

    The YAML that builds it:

        !import_call
          key: 'sc2_spic_plugin.datasets.PairResize'
          init:
            kwargs:
              size: 513
    """

    def __init__(self, size: int | Sequence[int], interpolation: str | InterpolationMode = "bilinear") -> None:
        """Keeps the size.

        Args:
            size: the shorter side, or [height, width], in pixels.
            interpolation: of the image, by torchvision's names.

        Raises:
            ConfigError: the size or interpolation cannot be used.
        """
        crop_size(size)
        self.size = size if isinstance(size, int) else list(size)
        self.interpolation = interpolation_mode(interpolation)

    def __call__(self, image: Any, mask: Any) -> tuple[Image.Image, Image.Image]:
        """Returns the resized pair."""
        return resize_pair(*as_pil_pair(image, mask, self), self.size, self.interpolation)

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value!r})"


def pad_pair(image: Image.Image, mask: Image.Image, sides: list[int]) -> tuple[Image.Image, Image.Image]:
    """Adds pixels that count for nothing, image 0 and mask void: left, top, right, bottom."""
    return functional.pad(image, sides, fill=0), functional.pad(mask, sides, fill=VOID_LABEL)


class PairCenterCrop:
    """Cuts out the middle, as torchvision's `CenterCrop` does; where a picture is smaller, image 0 and mask void."""

    def __init__(self, size: int | Sequence[int]) -> None:
        """Keeps the size: one side of a square, or [height, width], in pixels.

        Raises:
            ConfigError: the size cannot be used.
        """
        self.size = crop_size(size)

    def __call__(self, image: Any, mask: Any) -> tuple[Image.Image, Image.Image]:
        """Returns the middle of the pair."""
        image, mask = as_pil_pair(image, mask, self)
        height, width = self.size
        missing_x, missing_y = max(width - mask.width, 0), max(height - mask.height, 0)
        if missing_x or missing_y:
            sides = [missing_x // 2, missing_y // 2, missing_x - missing_x // 2, missing_y - missing_y // 2]
            image, mask = pad_pair(image, mask, sides)
        return functional.center_crop(image, [height, width]), functional.center_crop(mask, [height, width])

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(size={self.size})"
