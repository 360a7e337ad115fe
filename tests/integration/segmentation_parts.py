"""Image/mask pairs, a network's weights and a protocol for segmentation, small enough for a test."""

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

PROTOCOL = """\
name: tiny-pairs
task: segmentation
resize: 48
crop: null
denominator: image
selection: tiny/held_out
report: tiny/val
batch_size: 1
"""
SUPERVISED = {
    "criterion": {"key": "CrossEntropyLoss", "kwargs": {"ignore_index": 255}},
    "criterion_wrapper": {
        "key": "DictLossWrapper",
        "kwargs": {
            "input": {"is_from_teacher": False, "module_path": ".", "io": "output"},
            "target": {"uses_label": True},
            "weights": {"out": 1.0},
        },
    },
    "weight": 1.0,
}
TERM = "train.stage1.criterion.kwargs.sub_terms.distortion"


def write_pairs(folder: Path, count: int, seed: int) -> None:
    """Writes landscapes of different sizes: ground, a bush and a lamp, with a void edge around the bush."""
    draw = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        height, width = int(draw.integers(48, 72)), int(draw.integers(64, 96))
        rows, columns = np.mgrid[:height, :width]
        distance = np.hypot(rows - draw.uniform(10, height - 10), columns - draw.uniform(10, width - 10))
        mask = np.zeros((height, width), np.uint8)
        mask[distance < 14], mask[distance < 12] = 9, 1
        left = int(draw.integers(0, width - 8))
        mask[:20, left : left + 8] = 2
        colours = np.array([[90, 140, 60], [20, 60, 20], [250, 240, 150]] + [[60, 80, 40]] * 7)
        image = colours[mask] + draw.normal(0, 12, (height, width, 3))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


@functools.cache
@torch.no_grad()
def settled_network() -> nn.Module:
    """LR-ASPP with random weights whose classes all win somewhere."""
    torch.manual_seed(0)
    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    images = torch.rand(6, 3, 48, 64)
    for momentum in (1.0, 0.1):
        for norm in norms:
            norm.momentum = momentum
        network.train()(images)
    network.eval()
    network.classifier.high_classifier.bias -= network(images)["out"].mean(dim=(0, 2, 3))
    return network
