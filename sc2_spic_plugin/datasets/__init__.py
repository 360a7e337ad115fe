"""Image sets: synthetic pictures and scenes, folders, image/mask pairs, and the split that selects checkpoints."""

from .checked_folder import CheckedImageFolder
from .flat_folder import NO_LABEL, FlatImageFolder
from .reading import IMAGE_EXTENSIONS
from .segmentation import (
    VOC_CLASSES,
    VOID_LABEL,
    CocoSegmentation,
    PairCenterCrop,
    PairCompose,
    PairDataset,
    PairFolder,
    PairNormalize,
    PairRandomCrop,
    PairRandomHorizontalFlip,
    PairRandomResize,
    PairResize,
    PairToTensor,
    SyntheticScenes,
    VocSegmentation,
    spic_pair_collate,
)
from .subset import HeldOut
from .synthetic import SyntheticImages, write_image_folder

__all__ = [
    "IMAGE_EXTENSIONS",
    "NO_LABEL",
    "VOC_CLASSES",
    "VOID_LABEL",
    "CheckedImageFolder",
    "CocoSegmentation",
    "FlatImageFolder",
    "HeldOut",
    "PairCenterCrop",
    "PairCompose",
    "PairDataset",
    "PairFolder",
    "PairNormalize",
    "PairRandomCrop",
    "PairRandomHorizontalFlip",
    "PairRandomResize",
    "PairResize",
    "PairToTensor",
    "SyntheticImages",
    "SyntheticScenes",
    "VocSegmentation",
    "spic_pair_collate",
    "write_image_folder",
]
