"""A fixed split of a training set: images to train on, and images to select checkpoints with."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from ..errors import ConfigError, DataError, nearest
from .checked_folder import CheckedImageFolder
from .flat_folder import NO_LABEL, FlatImageFolder
from .reading import check_root
from .segmentation.masks import void_mask
from .segmentation.pair_dataset import PairDataset, PairTransform

__all__ = ["PARTS", "HeldOut", "selection_ids"]

PARTS = ("train", "selection")
"""The parts of a training set."""


def _draw(seed: int, image_id: str) -> int:
    """Returns a 64-bit number that depends on the seed and the image's path alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{image_id}".encode()).digest()[:8], "big")


def selection_ids(ids: Sequence[str], targets: Sequence[int], fraction: float, seed: int) -> set[str]:
    """Returns the images held out for selection: those whose path hashes below `fraction`, class by class.

    Whether an image is held out depends on its path and the seed alone, so adding or removing files moves no other
    image between the parts. Only a class of which the hash takes none, or all, is mended: it gives its image of lowest
    hash, or keeps its image of highest hash. A class of one image stays whole in training.

    Args:
        ids: one path per image.
        targets: one class per image; balance is kept within each.
        fraction: the part to hold out, above 0 and below 1.
        seed: another seed, another split.
    """
    by_class: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for image_id, target in zip(ids, targets, strict=True):
        by_class[target].append((_draw(seed, image_id), image_id))
    limit = int(fraction * 2**64)
    held_out: set[str] = set()
    for drawn in by_class.values():
        drawn.sort()
        taken = sum(number < limit for number, _ in drawn)
        taken = min(max(taken, 1), len(drawn) - 1)
        held_out.update(image_id for _, image_id in drawn[:taken])
    return held_out


class HeldOut(Dataset):
    """One part of a training set, so that no checkpoint is selected on the images that a table reports.

    The two parts share no image and together are the whole set. Sets of image/mask pairs have no class per image and
    are drawn as one class; their `transforms` take image and mask together. The YAML that builds the parts:

        photographs/train: !import_call
          key: 'sc2_spic_plugin.datasets.HeldOut'
          init:
            kwargs:
              root: 'resource/dataset/photographs/train'
              part: 'train'
              transform: *train_transform
        photographs/selection: !import_call
          key: 'sc2_spic_plugin.datasets.HeldOut'
          init:
            kwargs:
              root: 'resource/dataset/photographs/train'
              part: 'selection'
              transform: *val_transform
    """

    def __init__(
        self,
        root: str | Path | Dataset,
        part: str = "train",
        fraction: float = 0.1,
        seed: int = 0,
        transform: Callable[[Any], Any] | None = None,
        labelled: bool | None = None,
        transforms: PairTransform | None = None,
        limit: int | None = None,
    ) -> None:
        """Lists the images of one part.

        Args:
            root: a folder, a data set with `ids` (or `imgs`) and `targets`, or a set of image/mask pairs with `ids`.
            part: `train` or `selection`.
            fraction: how much of the set is held out for selection, above 0 and below 1.
            seed: another seed, another split; use one seed for both parts.
            transform: applied to each image after the data set's own transform, if it has one.
            labelled: whether a folder's sub-folders are classes; None: they are if the folder has any. With False no
                label is read and the target is `NO_LABEL`. Of pairs no mask is opened and all pixels are void.
            transforms: applied to each image and mask together. Images without masks, those of a folder for example,
                get one that is void everywhere.
            limit: keep about so many images of the part, as evenly from every class as it allows; None: all.

        Raises:
            ConfigError: the part or the fraction is not one of those allowed, or the arguments do not fit the set.
            DataError: the folder is missing or empty, or the part would hold no image.
        """
        if part not in PARTS:
            raise ConfigError(f"There is no part `{part}`. {nearest(part, PARTS)}")
        if not 0.0 < fraction < 1.0:
            raise ConfigError(f"`fraction` is {fraction}; it must lie above 0 and below 1, for example 0.1.")
        if isinstance(root, str | Path):
            self.dataset = _open_folder(root, labelled if transforms is None else False)
        else:
            self.dataset = root
        self.part, self.transform, self.transforms, self.labelled = part, transform, transforms, labelled
        self.pairs = _holds_pairs(self.dataset)
        self._refuse_unfit_arguments()
        all_ids, all_targets = _ids_and_targets(self.dataset)
        held_out = selection_ids(all_ids, all_targets, fraction, seed)
        self.indices = [index for index, name in enumerate(all_ids) if (name in held_out) == (part == "selection")]
        if limit is not None:
            self.indices = _limited(self.indices, all_ids, all_targets, limit, seed)
        if not self.indices:
            raise DataError(
                f"The part `{part}` of {self.dataset!r} would hold no image. Add images (two or more a class)."
            )
        self.ids = [all_ids[index] for index in self.indices]
        self.targets = [all_targets[index] for index in self.indices]
        self.classes: list[str] = list(getattr(self.dataset, "classes", []))

    def __len__(self) -> int:
        """Returns the number of images in this part."""
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Returns one image and its target: a class index or a mask."""
        if self.pairs or self.transforms is not None:
            image, mask = self._pair(self.indices[index])
            return (image, mask) if self.transforms is None else self.transforms(image, mask)
        image, target = self.dataset[self.indices[index]]
        return (image if self.transform is None else self.transform(image)), target

    def _pair(self, index: int) -> tuple[Any, Any]:
        """Returns one pair of the whole set; where the set has no masks, or none may be read, the mask is void."""
        if isinstance(self.dataset, PairDataset):
            return self.dataset.item(index, self.labelled)
        image, target = self.dataset[index]
        return image, target if self.pairs else void_mask(image)

    def _refuse_unfit_arguments(self) -> None:
        """Raises ConfigError if the arguments do not fit the kind of the data set."""
        if self.transform is not None and (self.pairs or self.transforms is not None):
            raise ConfigError("Pairs of image and mask are transformed together: give `transforms`, not `transform`.")
        if self.labelled and self.transforms is not None and not self.pairs:
            raise ConfigError(
                f"{self.dataset!r} has no masks, so it cannot be `labelled`. Give a set of pairs, for example a "
                "`PairFolder`, as `root`."
            )
        if self.labelled is False and self.pairs and not isinstance(self.dataset, PairDataset):
            raise ConfigError(
                f"`{type(self.dataset).__name__}` cannot be read without its masks, as `labelled: False` asks. Give "
                "one of this package's sets of pairs, or a folder of images."
            )


def _limited(indices: list[int], ids: Sequence[str], targets: Sequence[int], limit: int, seed: int) -> list[int]:
    """Returns as many indices of each class as the limit leaves it, drawn by the hash of their paths.

    Raises:
        ConfigError: the limit is below 1.
    """
    if limit < 1:
        raise ConfigError(f"`limit` is {limit}; give a whole number of images, or null for all.")
    by_class: dict[int, list[int]] = defaultdict(list)
    for index in indices:
        by_class[targets[index]].append(index)
    each = -(-limit // max(len(by_class), 1))
    drawn = (sorted(members, key=lambda index: _draw(seed, ids[index]))[-each:] for members in by_class.values())
    return sorted(index for members in drawn for index in members)


def _open_folder(root: str | Path, labelled: bool | None) -> Dataset:
    """Returns the folder as a data set with or without classes."""
    folder = check_root(root)
    if labelled is None:
        labelled = any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())
    return CheckedImageFolder(folder) if labelled else FlatImageFolder(folder)


def _holds_pairs(dataset: Any) -> bool:
    """Says whether the items are image/mask pairs: sets of pairs name their images and have no class per image."""
    if hasattr(dataset, "pairs"):
        return bool(dataset.pairs)
    return isinstance(dataset, PairDataset) or (hasattr(dataset, "ids") and not hasattr(dataset, "targets"))


def _ids_and_targets(dataset: Any) -> tuple[list[str], list[int]]:
    """Returns one path and one target per image of a data set; pairs all have the target `NO_LABEL`.

    Raises:
        DataError: the data set does not tell them.
    """
    ids = getattr(dataset, "ids", None)
    if ids is not None and _holds_pairs(dataset):
        return list(ids), [NO_LABEL] * len(ids)
    targets = getattr(dataset, "targets", None)
    if ids is None and hasattr(dataset, "imgs"):
        root = Path(getattr(dataset, "root", ""))
        ids = [Path(path).relative_to(root).as_posix() for path, _ in dataset.imgs]
    if ids is None or targets is None:
        raise DataError(
            f"`{type(dataset).__name__}` has no `ids` (or `imgs`) and `targets`, so it cannot be split by path. "
            "Give a folder, or a data set that has them."
        )
    return list(ids), [int(target) for target in targets]
