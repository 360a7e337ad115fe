"""A bank of three units with tables, another bank of the same network, and a unit of the first as files."""

from pathlib import Path

import pytest
import torch
from tiny_parts import UNIT, make_images, make_split, observe

from sc2_spic_plugin.layers import published_geometry
from sc2_spic_plugin.models import SplitModel, export_unit

FINE = {**UNIT, "output_activation": "identity", "geometry": published_geometry("classification", "S3", 2)}
COARSE = {**UNIT, "latent_channels": 3, "step": 2.0, "topology": "conv2"}
COARSEST = {**UNIT, "latent_channels": 2, "stride": 4, "topology": "separable2"}
BANK = {"fine": FINE, "coarse": COARSE, "coarsest": COARSEST}


def make_bank(units: dict | None = None, **kwargs: object) -> SplitModel:
    """A bank with tables for all its units."""
    model = make_split(units=units or BANK, **kwargs).eval()
    for name in model.units:
        model.select(name)
        observe(model, make_images(4, seed=5))
    model.update()
    model.select(next(iter(model.units)))
    return model


def payloads(model: SplitModel, unit: str, images: torch.Tensor) -> list[bytes]:
    return model.encode(images, unit=unit)["strings"][0]


@pytest.fixture(scope="module")
def bank() -> SplitModel:
    return make_bank()


@pytest.fixture
def other() -> SplitModel:
    """A fresh model of the same network and cut, with units of its own."""
    return make_bank({"own": UNIT, "more": {**UNIT, "step": 1.5}})


@pytest.fixture
def pair(bank: SplitModel, tmp_path: Path) -> Path:
    """The unit `coarse` as files; gives the description's path."""
    return export_unit(bank, "coarse", tmp_path).description
