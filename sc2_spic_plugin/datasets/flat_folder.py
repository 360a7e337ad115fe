"""A folder of images without classes: what unsupervised training reads."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from ..ops.pictures import read_image
from .reading import IMAGE_EXTENSIONS, check_root, find_images

__all__ = ["NO_LABEL", "FlatImageFolder"]

NO_LABEL = -1
"""The target of an image without label. Stock losses and accuracies that read it fail or count nothing as correct."""


class FlatImageFolder(Dataset):
    """All images below a folder, at any depth, in the order of their paths; folders are not classes.

    Each item is (image, `NO_LABEL`), the pair that the harness expects; no label can leak into training, since none is
    known here.

    The YAML that builds it:

        unlabelled/train: !import_call
          key: 'sc2_spic_plugin.datasets.FlatImageFolder'
          init:
            kwargs:
              root: 'resource/dataset/photographs'
              transform: *train_transform
    """

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
    ) -> None:
        """Lists the folder.

        Args:
            root: the folder.
            transform: applied to each PIL image (RGB).
            extensions: file name endings taken as images; case does not matter.

        Raises:
            DataError: the folder is missing or holds no image.
        """
        self.root = check_root(root)
        self.transform = transform
        self.ids: list[str] = find_images(self.root, extensions)
        self.targets: list[int] = [NO_LABEL] * len(self.ids)

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Returns one image and `NO_LABEL`.

        Raises:
            DataError: the file cannot be read; the message names it.
        """
        image = read_image(self.root / self.ids[index])
        return (image if self.transform is None else self.transform(image)), NO_LABEL

    def __repr__(self) -> str:
        """Returns the folder and the number of images."""
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} images)"
