"""Checkpoints: written whole or not at all, in the layout that sc2bench's scripts load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..models.network import load_torch_file, read_state_dict
from ..ops import write_atomic

__all__ = [
    "load_model_checkpoint",
    "replace_model",
    "save_model_checkpoint",
    "save_state_checkpoint",
    "training_precision",
]

_PRECISION = "training_precision"


def save_model_checkpoint(path: Path, model: nn.Module, best_value: float) -> Path:
    """Writes what evaluation needs: `model` (units, tables, digests) and `best_value`."""
    return save_state_checkpoint(path, model.state_dict(), best_value)


def save_state_checkpoint(
    path: Path, state: Mapping[str, Tensor], best_value: float, precision: str | None = None
) -> Path:
    """Writes a model's state as `save_model_checkpoint` does, and what it was trained in if that is known."""
    content: dict[str, Any] = {"model": state, "best_value": best_value}
    if precision is not None:
        content[_PRECISION] = precision
    return write_atomic(path, lambda file: torch.save(content, file))


def replace_model(source: Path, target: Path, model: nn.Module) -> Path:
    """Writes `model` to `target` with what else `source` says, whole or not at all."""
    content = load_torch_file(source)
    best_value = content.get("best_value", 0.0) if isinstance(content, dict) else 0.0
    return save_state_checkpoint(target, model.state_dict(), float(best_value), _said_precision(content))


def training_precision(path: Path) -> str | None:
    """Returns `fp32` or `bf16`, in which a checkpoint of ours was trained; None where it does not say."""
    return None if path.suffix == ".safetensors" else _said_precision(load_torch_file(path))


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


def _said_precision(content: Any) -> str | None:
    precision = content.get(_PRECISION) if isinstance(content, dict) else None
    return precision if isinstance(precision, str) else None
