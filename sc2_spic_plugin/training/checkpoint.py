"""Checkpoints: written whole or not at all, in the layout that sc2bench's scripts load."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import CheckpointError
from ..models.network import load_torch_file, read_state_dict
from ..ops import write_atomic

__all__ = ["load_model_checkpoint", "replace_model", "save_model_checkpoint", "save_training_state"]


def save_model_checkpoint(path: Path, model: nn.Module, best_value: float) -> Path:
    """Writes what evaluation needs: `model` (units, tables, digests) and `best_value`."""
    state = {"model": model.state_dict(), "best_value": best_value}
    return write_atomic(path, lambda file: torch.save(state, file))


def replace_model(source: Path, target: Path, model: nn.Module) -> Path:
    """Writes `model` to `target` with the rest of `source` (its best value), whole or not at all."""
    content = load_torch_file(source)
    best_value = content.get("best_value", 0.0) if isinstance(content, dict) else 0.0
    return save_model_checkpoint(target, model, float(best_value))


def save_training_state(path: Path, model: nn.Module, box: Any, epoch: int, best_value: float) -> Path:
    """Writes all that going on after a stop needs, random generators included."""
    scheduler = box.lr_scheduler
    state = {
        "model": model.state_dict(),
        "optimizer": box.optimizer.state_dict(),
        "lr_scheduler": None if scheduler is None else scheduler.state_dict(),
        "epoch": epoch,
        "stage": getattr(box, "stage_number", 1),
        "best_value": best_value,
        "generators": {
            "python": random.getstate(),
            "numpy": _numpy_state(),
            "torch": torch.get_rng_state(),
            "estimators": {
                name: estimator.get_rng_state() for name, estimator in getattr(model, "rate_estimators", {}).items()
            },
        },
    }
    return write_atomic(path, lambda file: torch.save(state, file))


def _numpy_state() -> dict[str, Any]:
    """Returns NumPy's legacy generator state as plain data that `weights_only=True` reads."""
    state: Any = np.random.get_state(legacy=False)
    keys = torch.from_numpy(state["state"]["key"].astype(np.int64))
    return {
        "key": keys,
        "pos": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }


def load_model_checkpoint(path: Path, model: nn.Module) -> None:
    """Loads a checkpoint made here or by sc2bench's scripts, strictly.

    Raises:
        CheckpointError: missing, damaged, or made for another network, split or unit.
    """
    state = read_state_dict(path)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the model of this config: {error}") from error
