"""A demo's images from a folder of images and masks, laid out as CamVid is."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...datasets import IMAGE_EXTENSIONS, VOID_LABEL
from ...datasets.reading import find_images
from ...datasets.segmentation.masks import read_mask
from ...errors import DataError
from ...leaderboard import load_protocol
from ...ops import write_atomic
from ...ops.pictures import read_image
from .images import DemoImages

__all__ = ["PairFolderImages"]

NAMES = "classes.txt"
VOID = "void"
_PARTS = ("train", "val", "test")
_PROTOCOL, _SIDE = "camvid-180x240", 180
_DATA = "datasets.camvid/train"


class PairFolderImages(DemoImages):
    """A folder with `train`, `trainannot`, `val`, `valannot`, `test`, `testannot`, and the names of its classes.

    `classes.txt` in it names label 0 in its first line, label 1 in its second and so on; labels called `void` do not
    count. Without it every label of the masks but 255 is a class.

    Args:
        data: the folder.

    Raises:
        DataError: a part or a mask is missing, or no class is left.
    """

    batch = 8

    def __init__(self, data: Path) -> None:
        self.folder = data.expanduser().resolve()
        for name in (name for part in _PARTS for name in (part, f"{part}annot")):
            if not (self.folder / name).is_dir():
                raise DataError(
                    f"{self.folder} has no `{name}` folder; --data with --task segmentation takes images in train, val "
                    "and test, and their masks in trainannot, valannot and testannot."
                )
        self.classes, self.void = self._classes()
        first = find_images(self.folder / "train", IMAGE_EXTENSIONS)[0]
        width, height = read_image(self.folder / "train" / first).size
        scale = _SIDE / min(width, height)
        self.size = [round(height * scale), round(width * scale)]

    def _classes(self) -> tuple[list[str], list[int]]:
        """Returns the names of the classes and the labels that are void."""
        path = self.folder / NAMES
        if path.is_file():
            names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            labels = sorted({label for part in _PARTS for label in self._labels(part)} - {VOID_LABEL})
            names = [f"label_{label}" if label in labels else VOID for label in range(max(labels, default=-1) + 1)]
        classes = [name for name in names if name != VOID]
        if len(classes) < 2:
            raise DataError(
                f"{self.folder} has {len(classes)} class(es), which is nothing to segment; name two or more in {NAMES}."
            )
        return classes, [label for label, name in enumerate(names) if name == VOID]

    def _labels(self, part: str) -> set[int]:
        folder = self.folder / f"{part}annot"
        return {int(label) for name in find_images(folder, (".png",)) for label in np.unique(read_mask(folder / name))}

    def values(self, network_path: str) -> dict[str, Any]:
        """Returns the folder, its name, classes and void labels, and the size to which images are brought."""
        values = {
            f"{_DATA}._root": str(self.folder),
            f"{_DATA}.init.kwargs.classes": self.classes,
            f"{_DATA}.init.kwargs.void": self.void,
            f"{_DATA}.init.kwargs.transforms.init.kwargs.transforms.2.init.kwargs.size": self.size,
            "result.dataset": self.folder.name,
            f"{network_path}.kwargs.num_classes": len(self.classes),
        }
        if network_path == "models.model.kwargs.network":
            values["models.model.kwargs.input_size"] = [3, *self.size]
        return values

    def train_images(self) -> int:
        """Counts the images of `train`."""
        return len(find_images(self.folder / "train", IMAGE_EXTENSIONS))

    def protocol(self, out: Path) -> str:
        """Writes CamVid's protocol for the size of these images; a class that no test mask shows is left out."""
        values = load_protocol(_PROTOCOL).as_dict()
        height, width = self.size
        values |= {
            "name": f"{self.folder.name}-{height}x{width}",
            "resize": self.size,
            "denominator": self.size,
            "absent_classes": "skip",
        }
        return str(write_atomic(out / "protocol.yaml", yaml.safe_dump(values, sort_keys=False)))
