"""COCO's object annotations as segmentation masks of the 21 VOC classes."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ...errors import ConfigError, DataError, nearest
from ...ops import file_digest
from ...ops.pictures import read_image
from ..reading import check_root
from .cache import cached_ids
from .coco_masks import CATEGORY_IDS, class_of_category, draw_mask, import_pycocotools
from .pair_dataset import PairDataset, PairTransform
from .voc import VOC_CLASSES

__all__ = ["CocoSegmentation"]

_SPLITS = ("train", "val")
_SITE = "http://images.cocodataset.org"


class _Entry(NamedTuple):
    """One image of the set: its file, its size in pixels, and (class, segmentation) of its objects in order."""

    file_name: str
    height: int
    width: int
    objects: list[tuple[int, Any]]

    def labelled_pixels(self) -> int:
        return int((draw_mask(self.objects, self.height, self.width) > 0).sum())


class CocoSegmentation(PairDataset):
    """COCO images with enough of the VOC classes in them, and masks drawn from the objects' outlines.

        ROOT/annotations/instances_val2017.json
        ROOT/val2017/000000000139.jpg            (or ROOT/images/val2017/)

    A pixel belongs to the first annotation that claims it, crowds included; images with more than `minimum_pixels`
    labelled pixels are kept, in the order of the annotation file. This is the evaluation set of the published SPIC
    segmentation results. The list is made once, which takes minutes for `train`, and kept in a cache folder. The YAML
    that builds it:

        coco/val: !import_call
          key: 'sc2_spic_plugin.datasets.CocoSegmentation'
          init:
            kwargs:
              root: 'resource/dataset/coco2017'
              split: 'val'
              transforms: *val_transforms
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "val",
        year: str | int = 2017,
        transforms: PairTransform | None = None,
        minimum_pixels: int | None = 1000,
        cache: str | Path | None = None,
        labelled: bool = True,
    ) -> None:
        """Reads the annotations and lists the images.

        Args:
            root: the data set's folder.
            split: `train` or `val`.
            year: of the data set.
            transforms: applied to each image and mask together.
            minimum_pixels: images need more labelled pixels than this; None: all images, labelled or not.
            cache: the folder for the list of images; None: `sc2_spic_plugin` in XDG_CACHE_HOME or `~/.cache`.
            labelled: False: no mask is drawn and all pixels are void; only the choice of images uses annotations,
                unless `minimum_pixels` is None.

        Raises:
            ConfigError: there is no such split, or pycocotools is not installed.
            DataError: annotations or images are missing or damaged; the message says what to fetch.
        """
        super().__init__(transforms, labelled)
        if split not in _SPLITS:
            raise ConfigError(f"There is no split `{split}` of COCO with masks. {nearest(split, _SPLITS)}")
        import_pycocotools()
        self.root, self.split, self.year = check_root(root), split, str(year)
        self.classes = list(VOC_CLASSES)
        annotations = self.root / "annotations" / f"instances_{split}{year}.json"
        entries = self._read_annotations(annotations)
        numbers = list(entries)
        if minimum_pixels is not None:
            rule = {
                "annotations": file_digest(annotations),
                "categories": CATEGORY_IDS,
                "overlap": "first annotation",
                "more_pixels_than": minimum_pixels,
            }
            kept = cached_ids(cache, f"coco{year}-{split}", rule, lambda: self._select(entries, minimum_pixels))
            numbers = [number for number in kept if number in entries]
        self._entries = [entries[number] for number in numbers]
        self.ids = [entry.file_name for entry in self._entries]
        self._images = self._find_images()

    def image(self, index: int) -> Image.Image:
        """Returns one image (RGB).

        Raises:
            DataError: the file cannot be read.
        """
        return read_image(self._images / self.ids[index])

    def files(self, index: int) -> list[Path]:
        """Returns the image's file; all masks are in one, the annotations."""
        return [self._images / self.ids[index]]

    def mask(self, index: int) -> Image.Image:
        """Returns one mask (mode L) of class indices; COCO knows no void pixels."""
        entry = self._entries[index]
        return Image.fromarray(draw_mask(entry.objects, entry.height, entry.width))

    def _read_annotations(self, path: Path) -> dict[int, _Entry]:
        """Returns the images by COCO's number, in the order of the file, with their objects of the VOC classes.

        Raises:
            DataError: the file is missing, cut short, or not of this kind.
        """
        fetch = (
            f"Fetch {_SITE}/annotations/annotations_trainval{self.year}.zip and unpack it in `{self.root}`, so that "
            f"`{path}` is there."
        )
        if not path.is_file():
            raise DataError(f"COCO's annotations `{path}` are missing. {fetch}")
        coco_module, _ = import_pycocotools()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                coco = coco_module.COCO(str(path))
            entries = {}
            for number, image in coco.imgs.items():
                objects = [
                    (class_of_category[found["category_id"]], found["segmentation"])
                    for found in coco.loadAnns(coco.getAnnIds(imgIds=number))
                    if found["category_id"] in class_of_category
                ]
                entries[int(number)] = _Entry(image["file_name"], int(image["height"]), int(image["width"]), objects)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise DataError(
                f"COCO's annotations `{path}` cannot be read ({type(error).__name__}: {error}): the file is cut short "
                f"or not of this kind. {fetch}"
            ) from error
        if not entries:
            raise DataError(f"COCO's annotations `{path}` name no image. {fetch}")
        return entries

    def _select(self, entries: dict[int, _Entry], minimum_pixels: int) -> list[int]:
        """Returns the numbers of the images with more labelled pixels than the minimum, showing its progress."""
        from rich.console import Console
        from rich.progress import track

        items: Sequence[tuple[int, _Entry]] = list(entries.items())
        shown = track(
            items, f"choosing COCO {self.split}{self.year} images", console=Console(stderr=True), transient=True
        )
        return [number for number, entry in shown if entry.labelled_pixels() > minimum_pixels]

    def _find_images(self) -> Path:
        """Returns the folder of the images.

        Raises:
            DataError: no image has enough labelled pixels, or an image of the list is not there.
        """
        name = f"{self.split}{self.year}"
        if not self.ids:
            raise DataError(
                f"No image of COCO {name} in `{self.root}` has enough labelled pixels: lower `minimum_pixels`."
            )
        folders = [self.root / name, self.root / "images" / name]
        folder = next((candidate for candidate in folders if candidate.is_dir()), None)
        present = {path.name for path in folder.iterdir()} if folder is not None else set()
        absent = [image for image in self.ids if image not in present]
        if folder is None or absent:
            raise DataError(
                f"{len(absent)} of {len(self.ids)} images of COCO {name} are missing in `{folder or folders[0]}`, the "
                f"first is `{absent[0]}`. Fetch {_SITE}/zips/{name}.zip and unpack it in `{self.root}`."
            )
        return folder

    def __repr__(self) -> str:
        """Returns the split and the number of pairs."""
        return f"{type(self).__name__}({self.split!r}, {self.year}, {len(self)} pairs, root={str(self.root)!r})"
