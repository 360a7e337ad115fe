"""Where a demo's images are from, and what that changes in the configs: synthetic ones, or a folder of classes."""

import math
from pathlib import Path
from typing import Any

from ...datasets import IMAGE_EXTENSIONS, CheckedImageFolder
from ...errors import DataError

__all__ = ["ClassFolder", "DemoImages"]


class DemoImages:
    """The synthetic images: the configs are right as they are. Folders are kinds of their own."""

    batch, held_out = 1, 0.0
    """Of the configs' training loader: images a step, and the part of the training folder that is not trained on."""

    def values(self, network_path: str) -> dict[str, Any]:
        """Returns what a config gets, by dotted path; `network_path` is where it describes the original network."""
        return {}

    def train_images(self) -> int | None:
        """Returns the number of training images; None: the suite says it."""
        return None

    def epochs(self, planned: int, minimum_steps: int) -> int:
        """Returns the planned epochs, or for a folder of few images as many as the least steps take."""
        images = self.train_images()
        if images is None:
            return planned
        steps = max(1, round(images * (1 - self.held_out)) // self.batch)
        return max(planned, math.ceil(minimum_steps / steps))

    def protocol(self, out: Path) -> str | None:
        """Returns the protocol to measure under, written below `out` if need be; None: the config's."""
        return None


class ClassFolder(DemoImages):
    """A folder with `train/CLASS` and `val/CLASS`.

    Args:
        data: the folder.

    Raises:
        DataError: a part is missing.
    """

    batch, held_out = 64, 0.1

    def __init__(self, data: Path) -> None:
        self.folder = data.expanduser().resolve()
        for part in ("train", "val"):
            if not (self.folder / part).is_dir():
                raise DataError(
                    f"{self.folder} has no `{part}` folder; --data takes a folder with train/CLASS and val/CLASS."
                )

    def values(self, network_path: str) -> dict[str, Any]:
        """Returns the folder, its name and the number of its classes."""
        return {
            "datasets.imagenette/train._root": str(self.folder),
            "result.dataset": self.folder.name,
            f"{network_path}.kwargs.num_classes": len(CheckedImageFolder(self.folder / "train").classes),
        }

    def train_images(self) -> int:
        """Counts the images below `train`."""
        return sum(path.suffix.lower() in IMAGE_EXTENSIONS for path in (self.folder / "train").rglob("*"))
