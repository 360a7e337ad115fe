"""What all sets of image/mask pairs share: one way to load a pair, with or without looking at the mask."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import Dataset

from ...errors import DataError
from .masks import void_mask

__all__ = ["PairDataset", "PairTransform"]

PairTransform = Callable[[Any, Any], tuple[Any, Any]]
"""(image, mask) -> (image, mask), the same geometry for both."""


class PairDataset(Dataset, ABC):
    """A set of images, each with a mask of its size that holds one class index per pixel, 255 where void.

        ids[i] -> image (PIL, RGB) ----+
                                       +-> transforms(image, mask) -> item
                  mask (PIL, mode L) --+

    With `labelled=False` no mask is ever opened: all pixels are void, which is what unsupervised training reads.
    """

    ids: list[str]
    """One name per image, in the order of the items."""
    classes: list[str]
    """The class names; their number is the number of classes."""

    def __init__(self, transforms: PairTransform | None = None, labelled: bool = True) -> None:
        """Keeps what is done with every pair.

        Args:
            transforms: applied to each image and mask together; see `PairCompose`.
            labelled: False: no mask is opened.
        """
        self.transforms, self.labelled = transforms, labelled

    @abstractmethod
    def image(self, index: int) -> Image.Image:
        """Returns one image (RGB)."""

    @abstractmethod
    def mask(self, index: int) -> Image.Image:
        """Returns one mask (mode L) of class indices, 255 where void."""

    def pair(self, index: int, labelled: bool | None = None) -> tuple[Image.Image, Image.Image]:
        """Returns one image and its mask before any transform.

        Args:
            index: the item.
            labelled: False: a mask that is void everywhere, without opening the real one; None: as the set says.

        Raises:
            DataError: a file cannot be read, or the two differ in size; the message names them.
        """
        image = self.image(index)
        if not (self.labelled if labelled is None else labelled):
            return image, void_mask(image)
        mask = self.mask(index)
        if mask.size != image.size:
            raise DataError(
                f"The mask of `{self.ids[index]}` is {mask.width} x {mask.height} pixels, its image {image.width} x "
                f"{image.height}. Give masks of their image's size."
            )
        return image, mask

    def __len__(self) -> int:
        """Returns the number of pairs."""
        return len(self.ids)

    def files(self, index: int) -> list[Path]:
        """Returns the files of one pair, image first; none where pairs are not made from files."""
        return []

    def item(self, index: int, labelled: bool | None = None) -> tuple[Any, Any]:
        """Returns what the transforms make of a pair; arguments and errors as those of `pair`."""
        image, mask = self.pair(index, labelled)
        return (image, mask) if self.transforms is None else self.transforms(image, mask)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Returns one image and its mask, or what the transforms make of them."""
        return self.item(index)
