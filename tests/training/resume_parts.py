"""Small trainings that can be stopped at any step and gone on with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_parts import UNIT, TinyImages, make_network, supervised_stage
from torch import nn
from training_parts import NoisyImages, StoppedError

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import find_state

DEVICE = torch.device("cpu")
STEPS = 4  # in an epoch


def augmented() -> dict[str, Any]:
    return {"train": NoisyImages(4 * STEPS), "held_out": TinyImages(8, seed=1)}


def stage_of(epochs: int, workers: int = 0, accumulates: int = 1) -> dict[str, Any]:
    config = supervised_stage(epochs=epochs)
    config["train_data_loader"]["kwargs"] = {"batch_size": 4, "num_workers": workers}
    config["optimizer"] = {"key": "Adam", "kwargs": {"lr": 0.01}, "grad_accum_step": accumulates}
    config["scheduler"] = {"key": "MultiStepLR", "kwargs": {"milestones": [1, 2], "gamma": 0.5}}
    return config


CONFIGS: dict[str, dict[str, Any]] = {
    "one stage": stage_of(3, accumulates=3),
    "two stages": {"stage1": stage_of(2), "stage2": stage_of(2)},
    "workers": stage_of(2, workers=1),
}


def spic_run(name: str) -> BuiltConfig:
    network = make_network()
    torch.manual_seed(1)
    estimator = {"key": "factorized"}
    model = SpicModel(network, "layer2", UNIT, input_size=(3, 32, 32), rate_estimator=estimator)
    return BuiltConfig(Path("tiny.yaml"), {"train": CONFIGS[name]}, augmented(), model, None, DEVICE)


def go(make: Callable[[], BuiltConfig], out: Path, save_every: float, report: Any = lambda *_: None) -> nn.Module:
    """Trains, from the folder's state if it has one."""
    seed_everything(5)
    run = make()
    try:
        resumed = find_state(out)
        seed_everything(99)  # nothing may depend on how the process that resumes was seeded
    except ConfigError:
        resumed = None
    train(run, out, report=report, resumed=resumed, facts={"seed": 5}, save_every=save_every)
    return run.model


def stopping(step: int) -> Any:
    left = iter(range(step - 1))

    def report(*_: Any) -> None:
        if next(left, None) is None:
            raise StoppedError

    return report
