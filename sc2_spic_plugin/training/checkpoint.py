"""Checkpoints: written whole or not at all, in the layout that sc2bench's scripts load."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..models.network import load_torch_file, read_state_dict
from ..ops import write_atomic

__all__ = ["load_model_checkpoint", "replace_model", "save_model_checkpoint", "save_state_checkpoint"]


def save_model_checkpoint(path: Path, model: nn.Module, best_value: float) -> Path:
    """Writes what evaluation needs: `model` (units, tables, digests) and `best_value`."""
    return save_state_checkpoint(path, model.state_dict(), best_value)


def save_state_checkpoint(path: Path, state: Mapping[str, Tensor], best_value: float) -> Path:
    """Writes a model's state as `save_model_checkpoint` does."""
    content = {"model": state, "best_value": best_value}
    return write_atomic(path, lambda file: torch.save(content, file))


def replace_model(source: Path, target: Path, model: nn.Module) -> Path:
    """Writes `model` to `target` with the rest of `source` (its best value), whole or not at all."""
    content = load_torch_file(source)
    best_value = content.get("best_value", 0.0) if isinstance(content, dict) else 0.0
    return save_model_checkpoint(target, model, float(best_value))


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
