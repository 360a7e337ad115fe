"""Imported units in the whole network: logits of the released model code, kept as numbers for seeded weights.

The numbers come from the released code itself: name a clone of it in SPIC_REPO and set SC2_SPIC_WRITE_GOLDEN=1 to
write them again. With SPIC_REPO alone, ours is compared with that code directly.
"""

import copy
import importlib.util
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from seeded_units import released_state, seeded_network, write_release
from torch import Tensor, nn

from sc2_spic_plugin.importers import find_published_units, split_point
from sc2_spic_plugin.layers import published_geometry
from sc2_spic_plugin.models import SplitModel

GOLDEN = Path(__file__).parents[1] / "golden" / "published_networks.json"
SIDES = {"classification": 96, "segmentation": 65}
STRIDES = {
    "classification": {"S1": 4, "S2": 2, "S3": 2, "US1": 2, "US2": 4},
    "segmentation": {"S1": 8, "S2": 4, "S3": 4, "US1": 4, "US2": 2},
}
LATENT, SEED, STEP = 8, 7, 0.0625
UNITS = {
    f"{task}/{split}/0": {"step": STEP, "stride": stride, "latent_channels": LATENT, "seed": SEED + place}
    for task, strides in STRIDES.items()
    for place, (split, stride) in enumerate(strides.items())
}
CUTS = [(task, number) for task in STRIDES for number in "123"]


class Outcome(NamedTuple):
    """What a network made of the image: symbols (1, C_r, h, w) and logits."""

    symbols: Tensor
    logits: Tensor

    def numbers(self) -> dict[str, Any]:
        flat = self.logits.double().flatten()
        return {
            "symbols": self.symbols.flatten().tolist(),
            "logits_shape": list(self.logits.shape),
            "logits": [float(f"{value:.7g}") for value in flat[:: max(1, len(flat) // 16)][:16].tolist()],
            "abs_sum": float(f"{float(flat.abs().sum()):.8g}"),
        }


def image_for(task: str) -> Tensor:
    side = SIDES[task]
    return torch.from_numpy(np.random.default_rng(SEED).standard_normal((1, 3, side, side)).astype(np.float32))


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {task: seeded_network(task, SEED) for task in SIDES}


@torch.no_grad()
def ours(task: str, number: str, network: nn.Module, folder: Path) -> dict[str, Outcome]:
    """Symbols and logits of the imported units at one cut, behind one bank."""
    release = write_release(folder, {name: {**unit, "counts": {0: 9, 1: 1}} for name, unit in UNITS.items()})
    units = [unit for unit in find_published_units(release) if unit.task == task and unit.split.endswith(number)]
    arguments = {
        unit.split: {
            "latent_channels": LATENT,
            "stride": unit.stride,
            "step": unit.step,
            "geometry": {"published": {"task": task, "split": unit.split}},
        }
        for unit in units
    }
    model = SplitModel(
        copy.deepcopy(network),
        units[0].cut,
        arguments,
        input_size=(3, SIDES[task], SIDES[task]),
        outputs=None if task == "classification" else ["out"],
        allow_bypass=units[0].point.bypassed,
    ).eval()
    found = {}
    for unit in units:
        model.units[unit.split].load_state_dict(unit.load()[0].state_dict())
        model.select(unit.split)
        features, _ = model._split_front(image_for(task))
        output = model(image_for(task))
        logits = output["out"] if task == "segmentation" else output
        found[unit.name] = Outcome(model.unit.encode(features), logits)
    return found


@torch.no_grad()
def released(name: str, network: nn.Module, repository: Path) -> Outcome:
    """The same from the released code, with its downloads replaced by the seeded weights."""
    task, split, _ = name.split("/")
    unit, number = UNITS[name], split[-1]
    path = repository / task.capitalize() / "models" / f"model{number}.py"
    spec = importlib.util.spec_from_file_location(f"released_{task}_{number}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load_state_dict_from_url = lambda *_, **__: {}  # type: ignore[attr-defined]
    make = getattr(module, f"{'mymodel' if task == 'classification' else 'my_model'}{number}")
    model = make(unit["step"], unit["latent_channels"], unit["stride"]).eval()
    within = {
        "classification": {"1": "Bottleneck2", "2": "layer4.0.Bottleneck2", "3": "layer3.5.Bottleneck3"},
        "segmentation": {"1": "classifier.0.convs.1.3", "2": "backbone.layer4.1.Bottleneck2",
                         "3": "backbone.layer4.0.Bottleneck2"},
    }[task][number]  # fmt: skip
    loaded = model.load_state_dict(network.state_dict(), strict=False)
    assert not loaded.unexpected_keys and all(key.startswith(within) for key in loaded.missing_keys)
    bottleneck = model.get_submodule(within)
    bottleneck.load_state_dict(released_state(task, split, unit["stride"], LATENT, unit["seed"]))
    quantised: list[Tensor] = []
    bottleneck.quantizelayer.register_forward_hook(lambda _module, _input, output: quantised.append(output))
    output = model(image_for(task))
    output = output[0] if isinstance(output, tuple) else output
    logits = output["out"] if task == "segmentation" else output
    return Outcome(torch.round(quantised[0] / unit["step"]).int(), logits)


def assert_alike(found: dict[str, Any], expected: dict[str, Any], name: str) -> None:
    assert found["logits_shape"] == expected["logits_shape"], name
    assert found["symbols"] == expected["symbols"], name
    assert found["abs_sum"] == pytest.approx(expected["abs_sum"], rel=1e-4), name
    scale = max(abs(value) for value in expected["logits"])
    assert found["logits"] == pytest.approx(expected["logits"], abs=1e-4 * scale), name


@pytest.mark.parametrize(("task", "number"), CUTS)
def test_imported_units_give_the_logits_of_the_released_networks(
    task: str, number: str, networks: dict[str, nn.Module], tmp_path: Path
) -> None:
    repository = os.environ.get("SPIC_REPO")
    names = [name for name in UNITS if name.startswith(task) and name.split("/")[1].endswith(number)]
    if os.environ.get("SC2_SPIC_WRITE_GOLDEN"):
        assert repository, "the numbers come from the released code: name a clone of it in SPIC_REPO"
        content = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
        content |= {name: released(name, networks[task], Path(repository)).numbers() for name in names}
        GOLDEN.write_text(json.dumps(content, sort_keys=True).replace("}, ", "},\n ") + "\n")
    golden = json.loads(GOLDEN.read_text())
    for name, outcome in ours(task, number, networks[task], tmp_path).items():
        symbols = golden[name]["symbols"]
        assert len(set(symbols)) >= 3, f"{name}: symbols that hardly vary show nothing"
        assert_alike(outcome.numbers(), golden[name], name)
        if repository:
            theirs = released(name, networks[task], Path(repository))
            assert torch.equal(outcome.symbols, theirs.symbols)
            error = (outcome.logits - theirs.logits).abs().max() / theirs.logits.abs().max()
            assert float(error) < 1e-5, name


def test_the_golden_numbers_cover_every_split_and_odd_output_sizes() -> None:
    assert sorted(json.loads(GOLDEN.read_text())) == sorted(UNITS)
    point = split_point("classification", "S3")
    assert published_geometry("classification", "S3", 2).output_size(point.feature_size) == (15, 15)
