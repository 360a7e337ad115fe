"""Pairs that lie in files: an image file and a mask file each."""

from pathlib import Path

from PIL import Image

from ...ops.pictures import read_image
from .masks import LabelMap, read_mask
from .pair_dataset import PairDataset

__all__ = ["FilePairs"]


class FilePairs(PairDataset):
    """Reads pair `i` from `_images[i]` and `_masks[i]`, whose labels `_labels` turns into class indices."""

    _images: list[Path]
    _masks: list[Path]
    _labels: LabelMap

    def files(self, index: int) -> list[Path]:
        """Returns the files of one pair, image first."""
        return [self._images[index], *self._masks[index : index + 1]]

    def image(self, index: int) -> Image.Image:
        """Returns one image (RGB).

        Raises:
            DataError: the file cannot be read.
        """
        return read_image(self._images[index])

    def mask(self, index: int) -> Image.Image:
        """Returns one mask (mode L) of class indices, 255 where void.

        Raises:
            DataError: the file cannot be read, or holds a label that is no class.
        """
        path = self._masks[index]
        return self._labels(read_mask(path), path)
