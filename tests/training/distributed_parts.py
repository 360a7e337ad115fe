"""Trainings for one process or two, and two processes that do the same jobs and leave what these return."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tiny_parts import UNIT, TinyImages, make_network, output_of, role, stage, supervised_stage, wrapped
from torch import Tensor, nn
from training_parts import exit_codes

from sc2_spic_plugin.ops.ranks import is_first, joined, rank
from sc2_spic_plugin.training import SpicModel, checkpoint, resume
from sc2_spic_plugin.training.build import BuiltConfig

CPU = torch.device("cpu")
PROCESS_COUNT = 2
IMAGES = 17  # in batches of 7, 7 and 3: the processes have different shares
UNITS = {
    "low": {**UNIT, "latent_channels": 3, "rate_weight": 8.0},
    "l1": {**UNIT, "topology": "conv", "rate_estimator": {"key": "l1"}},
}

Job = Callable[[Path], Any]


def stage_of(config: dict[str, Any], batch_size: int = 7, **optimizer: Any) -> dict[str, Any]:
    config["train_data_loader"]["kwargs"]["batch_size"] = batch_size
    config["val_data_loader"]["kwargs"]["batch_size"] = 3
    config["optimizer"].update(optimizer)
    return config


def built(config: dict[str, Any], model: Any, teacher: Any = None, data: Any = None) -> BuiltConfig:
    data = data or {"train": TinyImages(IMAGES), "held_out": TinyImages(8, seed=1)}
    return BuiltConfig(Path("tiny.yaml"), {"train": config}, data, model, teacher, CPU)


def make_bank(**kwargs: Any) -> SpicModel:
    network = make_network()
    torch.manual_seed(1)
    return SpicModel(network, "layer2", units=UNITS, input_size=(3, 32, 32), **kwargs)


def supervised_bank() -> BuiltConfig:
    return built(stage_of(supervised_stage(epochs=2)), make_bank())


def in_float64() -> dict[str, TinyImages]:
    data = {"train": TinyImages(IMAGES, 16), "held_out": TinyImages(8, 16, seed=1)}
    for images in data.values():
        images.images = images.images.double()
    return data


def network_beside_teacher() -> BuiltConfig:
    """Batch norm all through the network, a sum over images in the loss, gradients summed over batches and clipped."""
    matched = wrapped("MSELoss", target=output_of(".", is_from_teacher=True))
    matched = {**matched, "criterion": {"key": "MSELoss", "kwargs": {"reduction": "sum"}}, "weight": 0.1}
    config = stage({"task": wrapped("CrossEntropyLoss"), "match": matched}, 1, teacher=role([]), student=role([]))
    stage_of(config, 5, max_grad_norm=1.0, grad_accum_step=2)
    return built(config, make_network(1).double().train(), make_network(3).double().eval(), in_float64())


class PixelClassifier(nn.Module):
    """Gives the logits of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"out": self.layers(image)}


def set_up(own_rank: int, port: int) -> None:
    """Makes this process what torchrun makes it."""
    torch.set_num_threads(1)
    variables = {"RANK": own_rank, "LOCAL_RANK": own_rank, "WORLD_SIZE": PROCESS_COUNT, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in variables.items()}, MASTER_ADDR="127.0.0.1")


def do_jobs(own_rank: int, port: int, folder: Path, jobs: Mapping[str, Job]) -> None:
    set_up(own_rank, port)
    with joined("cpu"):
        if not is_first():
            checkpoint.write_atomic = resume.write_atomic = None  # only the first writes checkpoints and states
        for name, job in jobs.items():
            torch.save(job(folder / name), folder / f"{name}.{rank()}")


def together(function: Callable[..., None], folder: Path, *arguments: Any) -> list[int | None]:
    """Runs a function in two processes at once and returns their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return exit_codes(function, [(number, port, folder, *arguments) for number in range(PROCESS_COUNT)])


def done_together(jobs: Mapping[str, Job], folder: Path) -> Path:
    """Returns the folder, where two processes left what each job returned."""
    assert together(do_jobs, folder, jobs) == [0, 0]
    return folder


def results(folder: Path, job: str) -> list[Any]:
    return [torch.load(folder / f"{job}.{number}", weights_only=False) for number in range(PROCESS_COUNT)]
