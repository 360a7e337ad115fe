"""torchvision's ImageFolder with errors that name the file and say what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchvision.datasets import ImageFolder

from ..errors import DataError
from ..ops.pictures import read_image
from .reading import check_root

__all__ = ["CheckedImageFolder"]


class CheckedImageFolder(ImageFolder):
    """An `ImageFolder` (ROOT/CLASS/IMAGE) whose failures are clear, with the images' relative paths as `ids`.

    The YAML that builds it:

        photographs/val: !import_call
          key: 'sc2_spic_plugin.datasets.CheckedImageFolder'
          init:
            kwargs:
              root: 'resource/dataset/photographs/val'
              transform: *val_transform
    """

    def __init__(
        self,
        root: str | Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        """Lists the folder.

        Args:
            root: the folder that holds one folder per class.
            transform: applied to each PIL image (RGB).
            target_transform: applied to each class index.

        Raises:
            DataError: the folder is missing, holds no class folders, or a class folder holds no image.
        """
        folder = check_root(root)
        if not any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir()):
            raise DataError(
                f"`{folder}` holds no class folders. The layout is `{folder.name}/CLASS/IMAGE`; for images without "
                "classes use `FlatImageFolder`."
            )
        try:
            super().__init__(str(folder), transform=transform, target_transform=target_transform, loader=read_image)
        except FileNotFoundError as error:
            raise DataError(f"A class folder of `{folder}` is empty. Fill or remove it. {error}") from error

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Returns the class folders in order; one whose name starts with a dot (`.ipynb_checkpoints`) is none."""
        names, _ = super().find_classes(str(directory))
        classes = [name for name in names if not name.startswith(".")]
        return classes, {name: index for index, name in enumerate(classes)}

    @property
    def ids(self) -> list[str]:
        """The images' paths relative to the root, with forward slashes, in the order of the items."""
        return [Path(path).relative_to(self.root).as_posix() for path, _ in self.samples]
