"""Released units in miniature: checkpoints with released keys, pickled tables, a folder laid out as released."""

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from sc2_spic_plugin.importers.weights import KEYS

CHANNELS, LATENT, STEP = 256, 2, 3.0  # what segmentation's split 1 has, the smallest of the released units
ASKED = {"task": "segmentation", "split": "S1", "step": STEP, "stride": 8, "latent_channels": LATENT}
COUNTS = {0: 900, 1: 80, 2: 15, 5: 1}


def released_state(seed: int = 0, is_prior_trained: bool = False) -> dict[str, Tensor]:
    """A released state dict: the unit's keys with random values, then the prior's."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"conv2_2": (CHANNELS, 1, 3, 3), "conv2_3": (LATENT, CHANNELS, 1, 1), "conv2_4": (LATENT, CHANNELS, 1, 1)}
    shapes["conv2_5"] = (CHANNELS, 1, 9, 9)
    state = {}
    for key in KEYS:
        layer, value = key.split(".")
        shape = shapes.get(layer, (LATENT if layer == "bn3_1" else CHANNELS,))
        state[key] = torch.randn(shape, generator=generator)
        if value == "running_var":
            state[key] = state[key].abs() + 0.5
        if value == "num_batches_tracked":
            state[key] = torch.tensor(7)
    for network, layer in (("priorEncoder", "conv1"), ("priorDecoder", "deconv1")):
        state[f"{network}.{layer}.weight"] = torch.randn(8, LATENT, 1, 1, generator=generator)
        state[f"{network}.{layer}.bias"] = torch.full((8,), 0.0022)
        for value, number in (("weight", 0.219), ("bias", 0.0), ("running_mean", 0.3), ("running_var", 1.1)):
            state[f"{network}.bn1.{value}"] = torch.full((8,), number)
    state["bitEstimator_z.f1.h"] = torch.randn(1, 8, 1, 1, generator=generator)
    if is_prior_trained:
        state["priorDecoder.bn1.weight"][3] *= 1.01
    return state


def save_weights(path: Path, state: dict[str, Any] | None = None, **extra: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": released_state() if state is None else state, **extra}, path)
    return path


def released_table(counts: dict[int, int] | None = None, step: float = STEP) -> Counter:
    """A table as the released ones are: float32 multiples of a float32 step."""
    return Counter({np.float32(step) * np.float32(symbol): n for symbol, n in (counts or COUNTS).items()})


def save_table(path: Path, table: Any = None, protocol: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(released_table() if table is None else table, protocol))
    return path


def make_release(root: Path, units: int = 2) -> Path:
    """A repository with `units` units in segmentation S1 and US1; both splits' first weights are the same bytes."""
    index: dict[str, Any] = {}
    for split, folder in (("S1", "supervised/S1"), ("US1", "unsupervised/S1")):
        for unit in range(units):
            files = {
                "freq_file": f"freq_tab/{folder}/freq{unit + 1}.pickle",
                "file_name": f"weights/{folder}/model{unit + 1}.pth.tar",
            }
            seed = unit if split == "S1" or unit == 0 else 10 + unit
            save_weights(root / "Segmentation" / files["file_name"], released_state(seed))
            save_table(root / "Segmentation" / files["freq_file"])
            index.setdefault(split, {})[str(unit)] = {"qp": STEP, "stride_val": 8, "out_channel": LATENT, **files}
    write_index(root, index)
    return root


def write_index(root: Path, content: Any) -> Path:
    path = root / "Segmentation" / "dict.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def read_index(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "Segmentation" / "dict.yaml").read_text())
