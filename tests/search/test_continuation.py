"""The law of going on with some units of a bank: each ends as if nothing beside it had ever been stopped."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import UNIT, datasets, make_network, unsupervised_stage
from torch import Tensor

from sc2_spic_plugin.errors import CheckpointError
from sc2_spic_plugin.search.continuation import go_on_with
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import find_state

UNITS = {
    "low": {**UNIT, "latent_channels": 3, "rate_weight": 8.0},
    "mid": {**UNIT, "stride": 1, "rate_estimator": {"key": "factorized"}},
    "high": {**UNIT, "step": 0.25, "rate_weight": 0.5, "rate_estimator": {"key": "mean_scale_hyperprior"}},
}
EPOCHS = 4


def trained(out: Path, names: Any, epochs: int = EPOCHS, resumed: Any = None, **changed: Any) -> SpicModel:
    seed_everything(0)
    units = {name: UNITS[name] for name in names}
    model = SpicModel(make_network(), "layer2", units=units, input_size=(3, 32, 32), distills=True)
    config = unsupervised_stage(epochs=epochs, **changed)
    config["optimizer"] = {"key": "Adam", "kwargs": {"lr": 0.01}, **changed.get("optimizer", {})}
    config["scheduler"] = {"key": "CosineAnnealingLR", "kwargs": {"T_max": EPOCHS}}
    seed_everything(1)
    built = BuiltConfig(Path("tiny.yaml"), {"train": config}, datasets(), model, None, torch.device("cpu"))
    train(built, out, resumed=resumed)
    return model


def states_of(model: SpicModel, out: Path, name: str) -> dict[str, Tensor]:
    """What is kept of a unit, its best epoch, and where its training ended."""
    last = find_state(out).content["model"]
    both = (("best", model.state_dict()), ("last", last))
    return {f"{which} {key}": value for which, state in both for key, value in state.items() if f".{name}." in key}


@pytest.fixture(scope="module")
def throughout(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpicModel, Path]:
    out = tmp_path_factory.mktemp("whole")
    return trained(out, UNITS), out


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpicModel, Path]:
    out = tmp_path_factory.mktemp("first")
    return trained(out, UNITS, epochs=2), out


@pytest.mark.parametrize("names", [["low", "mid", "high"], ["low", "high"], ["mid"]])
def test_units_that_go_on_end_as_if_nothing_had_been_stopped(
    names: list[str], throughout: tuple[SpicModel, Path], first: tuple[SpicModel, Path], tmp_path: Path
) -> None:
    saved = go_on_with(names, *first, tmp_path)
    model = trained(tmp_path, names, resumed=saved)
    assert list(model.units) == names
    for name in names:
        one, other, early = (states_of(*each, name) for each in ((model, tmp_path), throughout, first))
        assert list(one) == list(other)
        for key, value in one.items():
            assert torch.allclose(value.float(), other[key].float(), rtol=1e-3, atol=1e-4), key
        assert not all(torch.allclose(value.float(), early[key].float(), rtol=1e-3, atol=1e-4)
                       for key, value in one.items() if key.startswith("last"))  # fmt: skip


def test_an_optimizer_with_groups_of_its_own_is_refused(tmp_path: Path) -> None:
    groups = {"module_wise_kwargs": [{"module": "units"}, {"module": "rate_estimators"}], "filters_params": False}
    model = trained(tmp_path / "first", ["low", "mid"], epochs=1, optimizer=groups)
    with pytest.raises(CheckpointError, match="groups parameters in its own way"):
        go_on_with(["low"], model, tmp_path / "first", tmp_path / "rest")
