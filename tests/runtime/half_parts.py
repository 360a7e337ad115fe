"""Tiny models with tables and their exported halves, for classification and segmentation."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tiny_parts import UNIT, make_images, make_network, make_split, observe, settle
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3

from sc2_spic_plugin.layers import published_geometry
from sc2_spic_plugin.models import SplitModel
from sc2_spic_plugin.models.exporting import export_halves
from sc2_spic_plugin.runtime import DeviceHalf, ServerHalf

FINE = {**UNIT, "output_activation": "identity", "geometry": published_geometry("classification", "S3", 2)}
COARSE = {**UNIT, "latent_channels": 3, "step": 2.0, "topology": "conv2"}
BANK = {"fine": FINE, "coarse": COARSE}
CLASSES = ["sky", "tree", "road"]
STEPS: list[dict[str, Any]] = [
    {"kind": "resize", "size": 40, "interpolation": "bilinear", "max_size": None},
    {"kind": "center_crop", "size": [32, 32]},
    {"kind": "to_tensor"},
    {"kind": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]


@dataclass
class Exported:
    """A model and the folder of its halves, which are opened once."""

    model: SplitModel
    folder: Path

    @cached_property
    def device(self) -> DeviceHalf:
        return DeviceHalf(self.folder)

    @cached_property
    def server(self) -> ServerHalf:
        return ServerHalf(self.folder)


def with_tables(model: SplitModel) -> SplitModel:
    """Counts a few images for every unit, so that the model codes."""
    for name in model.units:
        model.select(name)
        observe_images(model)
    model.update()
    model.select(next(iter(model.units)))
    return model.eval()


def observe_images(model: SplitModel) -> None:
    if len(model.crossing.are_sizes) == 0:
        observe(model, make_images(4, seed=5))
        return
    with torch.no_grad():
        features = model.front_end(make_images(4, 48, 64, seed=5))[0]
        model.symbol_tables.observe(model.unit.encode(features))


def make_classifier(units: dict[str, Any] | None = None, seed: int = 0) -> SplitModel:
    return with_tables(make_split(seed, units=units or BANK))


def make_segmenter() -> SplitModel:
    """DeepLabv3 with its own head around the tiny ResNet; the image's size crosses to the back-end."""
    backbone = IntermediateLayerGetter(make_network(), {"layer3": "out"})
    torch.manual_seed(4)
    network: nn.Module = DeepLabV3(backbone, DeepLabHead(256, len(CLASSES), [2, 4])).eval()
    torch.manual_seed(1)
    unit = {**UNIT, "latent_channels": 4}
    model = SplitModel(network, "backbone.layer2", {"unit": unit}, input_size=(3, 48, 64), outputs=["out"])
    model.front_end, front_end = _FeaturesOnly(model.front_end), model.front_end
    settle(model).front_end = front_end
    return with_tables(model)


class _FeaturesOnly(nn.Module):
    def __init__(self, front_end: nn.Module) -> None:
        super().__init__()
        self.front_end = front_end

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.front_end(image)[0]


def export_classifier(folder: Path) -> Exported:
    model = make_classifier()
    export_halves(model, folder, "classification", preprocessing=STEPS)
    return Exported(model, folder)


def export_alone(folder: Path) -> Exported:
    model = make_classifier({"unit": COARSE})
    export_halves(model, folder, "classification", {"unit": "low"})
    return Exported(model, folder)


def export_segmenter(folder: Path) -> Exported:
    model = make_segmenter()
    export_halves(model, folder, "segmentation", preprocessing=STEPS[2:], classes=CLASSES)
    return Exported(model, folder)
