"""PASCAL VOC's segmentation sets in torchvision's layout, with errors that say which part of them is missing."""

from pathlib import Path

from torchvision.datasets.voc import DATASET_YEAR_DICT, VOCSegmentation

from ...errors import ConfigError, DataError, nearest
from .file_pairs import FilePairs
from .masks import LabelMap
from .pair_dataset import PairTransform

__all__ = ["VOC_CLASSES", "VocSegmentation"]

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The 21 classes in the order of their labels; those of torchvision's segmentation weights too."""

_IMAGE_SETS = ("train", "trainval", "val")


class VocSegmentation(FilePairs):
    """torchvision's `VOCSegmentation` as a set of pairs: 21 classes, borders void.

    The YAML that builds it:

        voc/val: !import_call
          key: 'sc2_spic_plugin.datasets.VocSegmentation'
          init:
            kwargs:
              root: 'resource/dataset'
              image_set: 'val'
              transforms: *val_transforms
    """

    def __init__(
        self,
        root: str | Path,
        image_set: str = "train",
        year: str | int = "2012",
        transforms: PairTransform | None = None,
        download: bool = False,
        labelled: bool = True,
    ) -> None:
        """Lists the set and checks that every file is there.

        Args:
            root: the folder that holds `VOCdevkit`.
            image_set: `train`, `trainval` or `val`; of 2007 also `test`.
            year: 2007 to 2012.
            transforms: applied to each image and mask together.
            download: fetch and unpack the archive into the root first.
            labelled: False: no mask is opened, and all pixels are void.

        Raises:
            ConfigError: there is no such year or set.
            DataError: the data set is missing or incomplete.
        """
        super().__init__(transforms, labelled)
        self.root, self.image_set, self.year = Path(root).expanduser(), image_set, str(year)
        years = [name for name in DATASET_YEAR_DICT if name.isdecimal()]
        if self.year not in years:
            raise ConfigError(f"There is no PASCAL VOC of year `{year}`. {nearest(self.year, years)}")
        image_sets = (*_IMAGE_SETS, "test") if self.year == "2007" else _IMAGE_SETS
        if image_set not in image_sets:
            raise ConfigError(
                f"PASCAL VOC {self.year} has no segmentation set `{image_set}`. {nearest(image_set, image_sets)}"
            )
        self.classes, self._labels = list(VOC_CLASSES), LabelMap(VOC_CLASSES)
        try:
            stock = VOCSegmentation(self.root, self.year, image_set, download=download)
        except (RuntimeError, OSError) as error:
            raise DataError(self._what_is_missing(str(error))) from error
        self._images, self._masks = [Path(path) for path in stock.images], [Path(path) for path in stock.masks]
        if not self._images:
            raise DataError(self._what_is_missing(f"the list of the set `{image_set}` is empty"))
        self.ids = [path.name for path in self._images]
        self._refuse_gaps(self._images)
        if labelled:
            self._refuse_gaps(self._masks)

    def _what_is_missing(self, reason: str) -> str:
        """Returns the message for a set that is not whole."""
        key = "2007-test" if self.image_set == "test" else self.year
        archive = DATASET_YEAR_DICT[key]
        folder = self.root / archive["base_dir"]
        parts = ("JPEGImages", "SegmentationClass", f"ImageSets/Segmentation/{self.image_set}.txt")
        missing = [str(folder / part) for part in parts if not (folder / part).exists()]
        found = ("There is no " + ", no ".join(f"`{path}`" for path in missing)) if missing else reason
        return (
            f"PASCAL VOC {self.year} is missing or incomplete in `{self.root}`: {found}. "
            f"Unpack `{archive['filename']}` ({archive['url']}) there, or set `download: True`."
        )

    def _refuse_gaps(self, files: list[Path]) -> None:
        """Raises DataError if one of the listed files is not there."""
        present = {path.name for path in files[0].parent.glob("*")}
        absent = [path for path in files if path.name not in present]
        if absent:
            raise DataError(self._what_is_missing(f"{len(absent)} of {len(files)} files, the first is `{absent[0]}`"))

    def __repr__(self) -> str:
        """Returns the set and the number of pairs."""
        return f"{type(self).__name__}({self.year}, {self.image_set!r}, {len(self)} pairs, root={str(self.root)!r})"
