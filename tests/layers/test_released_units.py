"""Parity with the released units: same symbols and outputs as the released code on a fixed input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sc2_spic_plugin.layers import BottleneckUnit, published_geometry

NAMES = [
    *(f"classification/{unit}" for unit in ("S1/0", "S2/4", "S3/1", "US1/5", "US2/2")),
    *(f"segmentation/{unit}" for unit in ("S1/4", "S2/5", "S3/6", "US1/4", "US2/2")),
]
RELEASED = ("conv2_2", "bn2_1", "conv2_3", "bn3_1", "conv2_4", "bn4_1", "conv2_5", "bn5_1")


def layers_in_order(unit: BottleneckUnit) -> list[nn.Module]:
    """Layers with weights, encoder first: depthwise, norm, pointwise, norm, pointwise, norm, depthwise, norm."""
    return [
        m
        for part in (unit.encoder, unit.decoder)
        for m in part.modules()
        if next(m.parameters(False), None) is not None
    ]


def load_released(unit: BottleneckUnit, released: dict[str, Tensor]) -> None:
    for name, layer in zip(RELEASED, layers_in_order(unit), strict=True):
        values = {key: released[f"{name}.{key}"] for key in layer.state_dict()}
        if name == "conv2_4":  # a transposed 1x1 convolution: (C_r, C, 1, 1)
            values["weight"] = values["weight"].transpose(0, 1)
        layer.load_state_dict(values, strict=True)


@pytest.fixture(scope="module")
def golden(reference: Path) -> dict[str, Any]:
    return json.loads((reference / "golden_units.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_released_unit_gives_the_released_symbols_and_outputs(
    name: str, golden: dict[str, Any], reference: Path
) -> None:
    expected = golden[name]
    task, split, _ = name.split("/")
    side = tuple(expected["in_shape"][2:])
    unit = BottleneckUnit(
        expected["in_shape"][1],
        expected["channels"],
        stride=expected["stride"],
        step=expected["qp"],
        geometry=published_geometry(task, split, expected["stride"]),
    ).eval()
    load_released(
        unit, torch.load(reference / expected["weights"], map_location="cpu", weights_only=True)["state_dict"]
    )
    features = np.maximum(np.random.default_rng(7).standard_normal(expected["in_shape"]), 0).astype(np.float32)
    symbols = unit.encode(torch.from_numpy(features))
    assert list(symbols.shape) == expected["latent_shape"]
    difference = symbols.flatten()[: len(expected["symbols"])] - torch.tensor(expected["symbols"])
    assert int(difference.abs().max()) <= 1 and float((difference != 0).float().mean()) <= 1e-3
    output = unit.decode(symbols, side)
    assert list(output.shape) == expected["out_shape"]
    flat = output.flatten().double()
    assert float(flat.mean()) == pytest.approx(expected["out_mean"], rel=1e-4)
    assert float(flat.abs().sum()) == pytest.approx(expected["out_abs_sum"], rel=1e-4)
    if not bool(difference.any()):
        sampled = flat[:: flat.numel() // 64][:64]
        torch.testing.assert_close(sampled, torch.tensor(expected["out_slice"]).double(), rtol=1e-4, atol=1e-5)


def test_every_released_unit_at_hand_is_tested(golden: dict[str, Any]) -> None:
    assert sorted(golden) == sorted(NAMES)
