"""A segmentation model of the host's own classes and image/mask pairs in memory, small enough for a test."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from sc2bench.models.backbone import FeatureExtractionBackbone
from sc2bench.models.layer import FPBasedResNetBottleneck
from sc2bench.models.segmentation.base import BaseSegmentationModel
from tiny_parts import make_images
from torch import Tensor, nn
from torch.utils.data import Dataset

CLASSES = 3
BOTTLENECK = "bottleneck_layer"


def make_host_segmenter(seed: int = 0, compresses: bool = True) -> BaseSegmentationModel:
    """sc2bench's segmentation model around its own bottleneck: the analyzers are the backbone's."""
    torch.manual_seed(seed)
    bottleneck = FPBasedResNetBottleneck(num_bottleneck_channels=4, num_target_channels=8)
    layers = nn.Sequential(OrderedDict([(BOTTLENECK, bottleneck), ("last", nn.Conv2d(8, 8, 3, padding=1))]))
    key = BOTTLENECK if compresses else None
    backbone = FeatureExtractionBackbone(layers, {"last": "out"}, [], analyzable_layer_key=key)
    return BaseSegmentationModel(backbone, nn.Conv2d(8, CLASSES, 1))


class TinyPairs(Dataset):
    """Random images with masks in memory, one pair per size; some pixels are void."""

    def __init__(self, sizes: Sequence[tuple[int, int]] = ((32, 32),) * 8, seed: int = 0) -> None:
        self.images = [make_images(1, *size, seed=seed + number)[0] for number, size in enumerate(sizes)]
        generator = torch.Generator().manual_seed(seed)
        self.masks = [torch.randint(0, CLASSES, size, generator=generator) for size in sizes]
        for mask in self.masks:
            mask[0] = 255
        self.ids = [f"{number}.png" for number in range(len(sizes))]
        self.classes = ["a", "b", "c"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.masks[index]
