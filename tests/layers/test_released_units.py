"""Parity with the released units: symbols, outputs and Huffman bytes of the released code on a fixed input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sc2_spic_plugin.coding import HuffmanCoder
from sc2_spic_plugin.errors import TableError
from sc2_spic_plugin.importers import find_published_units, load_published_unit

NAMES = [
    *(f"classification/{unit}" for unit in ("S1/0", "S2/4", "S3/1", "US1/5", "US2/2")),
    *(f"segmentation/{unit}" for unit in ("S1/4", "S2/5", "S3/6", "US1/4", "US2/2")),
]


@pytest.fixture(scope="module")
def golden(reference: Path) -> dict[str, Any]:
    return json.loads((reference / "golden_units.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_released_unit_gives_the_released_symbols_outputs_and_bytes(
    name: str, golden: dict[str, Any], reference: Path
) -> None:
    expected = golden[name]
    task, split, _ = name.split("/")
    unit, table = load_published_unit(
        reference / expected["weights"],
        reference / expected["freq"],
        task=task,
        split=split,
        step=expected["qp"],
        stride=expected["stride"],
        latent_channels=expected["channels"],
    )
    features = np.maximum(np.random.default_rng(7).standard_normal(expected["in_shape"]), 0).astype(np.float32)
    symbols = unit.encode(torch.from_numpy(features))
    assert list(symbols.shape) == expected["latent_shape"]
    difference = symbols.flatten()[: len(expected["symbols"])] - torch.tensor(expected["symbols"])
    assert int(difference.abs().max()) <= 1 and float((difference != 0).float().mean()) <= 1e-3
    output = unit.decode(symbols, tuple(expected["in_shape"][2:]))
    assert list(output.shape) == expected["out_shape"]
    flat = output.flatten().double()
    assert float(flat.mean()) == pytest.approx(expected["out_mean"], rel=1e-4)
    assert float(flat.abs().sum()) == pytest.approx(expected["out_abs_sum"], rel=1e-4)
    if not bool(difference.any()):
        sampled = flat[:: flat.numel() // 64][:64]
        torch.testing.assert_close(sampled, torch.tensor(expected["out_slice"]).double(), rtol=1e-4, atol=1e-5)
        if expected["huffman_bytes"] is None:
            with pytest.raises(TableError, match="lacks symbol"):
                HuffmanCoder(table).encode(symbols[0])
        else:
            assert len(HuffmanCoder(table).encode(symbols[0])) == expected["huffman_bytes"]


def test_every_released_unit_at_hand_is_tested_and_found_as_it_was_recorded(
    golden: dict[str, Any], reference: Path
) -> None:
    assert sorted(golden) == sorted(NAMES)
    units = find_published_units(reference, missing="skip")
    assert len(units.skipped) == 51 and sorted(unit.name for unit in units) == sorted(NAMES)
    for unit in units:
        recorded = golden[unit.name]
        assert [1, unit.in_channels, *unit.point.feature_size] == recorded["in_shape"]
        assert [1, unit.latent_channels, *unit.latent_size] == recorded["latent_shape"]
        assert (unit.step, unit.stride) == (recorded["qp"], recorded["stride"])
