"""Networks and released units filled from one numpy generator: the same on any machine, nothing downloaded."""

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from sc2_spic_plugin.importers import split_point
from sc2_spic_plugin.importers.weights import KEYS
from sc2_spic_plugin.layers import BottleneckUnit, published_geometry
from sc2_spic_plugin.models import build_network

NETWORKS = {
    "classification": {"key": "resnet50", "kwargs": {"num_classes": 1000, "weights": None}},
    "segmentation": {
        "key": "deeplabv3_resnet50",
        "kwargs": {"num_classes": 21, "weights": None, "weights_backbone": None, "aux_loss": True},
    },
}


@torch.no_grad()
def fill(state: Mapping[str, Tensor], seed: int) -> None:
    """Fills tensors in place, name after name; all layers keep the size of what they get about the same."""
    rng = np.random.default_rng(seed)
    for name, value in sorted(state.items()):
        shape = tuple(value.shape)
        if value.ndim >= 2:
            numbers = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith("running_var"):
            numbers = rng.uniform(0.5, 1.5, shape)
        elif name.endswith(("running_mean", "bias")):
            numbers = 0.1 * rng.standard_normal(shape)
        elif name.endswith("weight"):
            numbers = rng.uniform(0.3, 0.9, shape)
        else:  # counters, and the step that our quantiser remembers
            continue
        value.copy_(torch.from_numpy(numbers.astype(np.float32)))


def seeded_network(task: str, seed: int = 0) -> nn.Module:
    """The original network of a task, in eval mode."""
    network = build_network(NETWORKS[task], task)
    fill(network.state_dict(), seed)
    return network


def released_state(task: str, split: str, stride: int, latent_channels: int, seed: int) -> dict[str, Tensor]:
    """A released state dict without its prior."""
    unit = BottleneckUnit(
        split_point(task, split).in_channels,
        latent_channels,
        stride=stride,
        geometry=published_geometry(task, split, stride),
    )
    fill(unit.state_dict(), seed)
    state = {theirs: unit.state_dict()[ours].clone() for theirs, ours in KEYS.items()}
    state["conv2_4.weight"] = state["conv2_4.weight"].transpose(0, 1).contiguous()
    return state


def write_release(root: Path, units: Mapping[str, Mapping[str, Any]]) -> Path:
    """Writes a repository laid out as released.

    Args:
        root: its folder.
        units: by name (`classification/S3/0`): `step`, `stride`, `latent_channels`, `seed` and `counts`.
    """
    index: dict[str, dict[str, dict[str, Any]]] = {}
    for name, unit in units.items():
        task, split, number = name.split("/")
        folder = root / task.capitalize()
        weights, table = Path(f"weights/{split}/model{number}.pth.tar"), Path(f"freq_tab/{split}/freq{number}.pickle")
        for path in (weights, table):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        state = released_state(task, split, unit["stride"], unit["latent_channels"], unit["seed"])
        torch.save({"state_dict": state}, folder / weights)
        step = np.float32(unit["step"])
        counts = {step * np.float32(symbol): count for symbol, count in unit["counts"].items()}
        (folder / table).write_bytes(pickle.dumps(counts))
        index.setdefault(task, {}).setdefault(split, {})[number] = {
            "qp": unit["step"],
            "stride_val": unit["stride"],
            "out_channel": unit["latent_channels"],
            "freq_file": str(table),
            "file_name": str(weights),
        }
    for task, content in index.items():
        (root / task.capitalize() / "dict.yaml").write_text(yaml.safe_dump(content))
    return root
