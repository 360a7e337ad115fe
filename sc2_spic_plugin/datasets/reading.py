"""Finding image files with errors that name the folder and say what to do."""

import os
from collections.abc import Sequence
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from ..errors import DataError

__all__ = ["IMAGE_EXTENSIONS", "check_root", "find_images"]

IMAGE_EXTENSIONS: tuple[str, ...] = tuple(IMG_EXTENSIONS)
"""File name endings taken as images, in lower case; those of torchvision."""


def check_root(root: str | Path) -> Path:
    """Returns `root` as a path.

    Raises:
        DataError: there is no such folder.
    """
    path = Path(root).expanduser()
    if not path.exists():
        raise DataError(
            f"The image folder `{path}` does not exist. Put the data set there or correct the path (`root`)."
        )
    if not path.is_dir():
        raise DataError(f"`{path}` is not a folder. Give the folder that holds the images.")
    return path


def find_images(root: str | Path, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> list[str]:
    """Returns the paths of all images below a folder, relative to it with forward slashes, sorted.

    Links to folders are followed, files and folders whose name starts with a dot are passed over.

    Args:
        root: where to look, at any depth.
        extensions: accepted file name endings; case does not matter.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    path = check_root(root)
    endings = tuple(extension.lower() for extension in extensions)
    found: list[str] = []
    visited: set[str] = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        # one order on every disk; a folder that a link leads to is found under its own name
        folders.sort(key=lambda name: (Path(folder, name).is_symlink(), name))
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else [name for name in folders if not name.startswith(".")]
        if real not in visited:
            names = (name for name in files if not name.startswith(".") and name.lower().endswith(endings))
            found.extend(Path(folder, name).relative_to(path).as_posix() for name in names)
        visited.add(real)
    if not found:
        raise DataError(
            f"There is no image below `{path}`. Put images there ({', '.join(endings)}) or correct the path (`root`)."
        )
    return sorted(found)
