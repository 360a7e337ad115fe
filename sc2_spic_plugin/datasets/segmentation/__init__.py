"""Image/mask pairs: data sets, joint transforms and the collate function of semantic segmentation."""

from .coco import CocoSegmentation
from .collate import spic_pair_collate
from .conversion import PairCompose, PairNormalize, PairToTensor
from .masks import VOID_LABEL
from .pair_dataset import PairDataset
from .pair_folder import PairFolder
from .random_geometry import PairRandomCrop, PairRandomHorizontalFlip, PairRandomResize
from .resizing import PairCenterCrop, PairResize
from .scenes import SyntheticScenes
from .voc import VOC_CLASSES, VocSegmentation

__all__ = [
    "VOC_CLASSES",
    "VOID_LABEL",
    "CocoSegmentation",
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
    "SyntheticScenes",
    "VocSegmentation",
    "spic_pair_collate",
]
