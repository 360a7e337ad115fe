"""Folders of images and masks that belong together by name, as in CamVid."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ...errors import DataError
from ..reading import IMAGE_EXTENSIONS, check_root, find_images
from .file_pairs import FilePairs
from .masks import LabelMap
from .pair_dataset import PairTransform

__all__ = ["PairFolder"]


class PairFolder(FilePairs):
    """Images in one folder, their masks in another, paired by path without the ending.

        ROOT/images/a.jpg       ROOT/images/street/b.png
        ROOT/masks/a.png        ROOT/masks/street/b.png

    Masks are 8-bit PNG files of class indices; of palette files the index counts. The YAML that builds it:

        camvid/train: !import_call
          key: 'sc2_spic_plugin.datasets.PairFolder'
          init:
            kwargs:
              root: 'resource/dataset/camvid'
              images: 'train'
              masks: 'trainannot'
              classes: ['sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car', 'pedestrian',
                        'bicyclist']
              void: [11]
              transforms: *train_transforms
    """

    def __init__(
        self,
        root: str | Path,
        images: str = "images",
        masks: str = "masks",
        classes: Sequence[str] = (),
        void: int | Iterable[int] = (),
        transforms: PairTransform | None = None,
        labelled: bool = True,
        image_suffix: str = "",
        mask_suffix: str = "",
    ) -> None:
        """Lists the folders and pairs the files.

        Args:
            root: the folder that holds the two others.
            images: the images' folder below the root, at any depth.
            masks: the masks' folder below the root, of the same structure.
            classes: the class names, in the order of their labels.
            void: labels that become 255; the remaining labels, ascending, are the classes.
            transforms: applied to each image and mask together.
            labelled: False: the masks' folder is not looked at, and all pixels are void.
            image_suffix: what the image names end in before the ending, where it is not part of the pair's name.
            mask_suffix: the same of the mask names, for example `_labels`.

        Raises:
            ConfigError: the classes or void labels cannot be used.
            DataError: a folder is missing or empty, or an image or a mask has no counterpart.
        """
        super().__init__(transforms, labelled)
        folder = check_root(root)
        self.root, self.classes, self._labels = folder, list(classes), LabelMap(classes, void)
        image_files = _by_stem(folder / images, image_suffix, IMAGE_EXTENSIONS)
        stems = sorted(image_files)
        self._images = [folder / images / image_files[stem] for stem in stems]
        self.ids = [image_files[stem] for stem in stems]
        self._masks: list[Path] = []
        if labelled:
            mask_files = _by_stem(folder / masks, mask_suffix, (".png",))
            _refuse_single(folder / images, image_files, mask_files, "image", "mask")
            _refuse_single(folder / masks, mask_files, image_files, "mask", "image")
            self._masks = [folder / masks / mask_files[stem] for stem in stems]

    def __repr__(self) -> str:
        """Returns the folder and the number of pairs."""
        return f"{type(self).__name__}({str(self.root)!r}, {len(self)} pairs, {len(self.classes)} classes)"


def _by_stem(folder: Path, suffix: str, extensions: Sequence[str]) -> dict[str, str]:
    """Returns the files below a folder by their path without suffix and ending.

    Raises:
        DataError: two files have one stem, or none ends in the suffix.
    """
    found: dict[str, str] = {}
    for name in find_images(folder, extensions):
        stem = PurePosixPath(name).with_suffix("").as_posix()
        if not stem.endswith(suffix):
            continue
        stem = stem.removesuffix(suffix)
        if stem in found:
            raise DataError(f"`{found[stem]}` and `{name}` in `{folder}` have one name; remove or rename one of them.")
        found[stem] = name
    if not found:
        raise DataError(f"No file name in `{folder}` ends in `{suffix}`. Correct the suffix.")
    return found


def _refuse_single(folder: Path, files: dict[str, str], others: dict[str, str], kind: str, other: str) -> None:
    """Raises DataError if a file has no counterpart, naming some."""
    single = [files[stem] for stem in sorted(files.keys() - others.keys())]
    if single:
        named = ", ".join(f"`{name}`" for name in single[:3]) + (", ..." if len(single) > 3 else "")
        raise DataError(
            f"{len(single)} of {len(files)} {kind}s in `{folder}` have no {other} of the same name: {named}. Add the "
            f"{other}s or take the {kind}s out"
            + ("; images alone can be read with `labelled: False`." * (kind == "image") or ".")
        )
