"""Keeping the best of what is trained: each unit of a bank by its own held-out value, in one checkpoint."""

import math
from pathlib import Path

from torch import Tensor, nn

from ..models.network import read_state_dict
from ..ops.ranks import is_first
from .checkpoint import save_state_checkpoint

__all__ = ["Selection"]

UNIT_PARTS = ("units", "tables", "rate_estimators")
"""What the state of a bank holds by unit."""


class Selection:
    """The best state so far, of a model as a whole or of each unit by itself.

    Args:
        model: what is trained.
        names: its units; `("",)` selects the model as a whole.
        path: the checkpoint of the best.
        best: the best value of each, from an earlier part of this training; its checkpoint is read back.
        precision: what it is trained in, for the checkpoint to say.
    """

    def __init__(
        self, model: nn.Module, names: tuple[str, ...], path: Path, best: dict[str, float], precision: str | None = None
    ) -> None:
        self.model, self.names, self.path, self.precision = model, names, path, precision
        self.best = {name: best.get(name, math.inf) for name in names}
        self.best_is_saved = any(map(math.isfinite, best.values())) and path.is_file()
        self._kept: dict[str, Tensor] = {}
        if names != ("",) and self.best_is_saved:
            self._kept = read_state_dict(path)

    def start_stage(self) -> None:
        """Forgets the values of the stage before: its loss is another."""
        self.best = dict.fromkeys(self.names, math.inf)

    def offer(self, values: dict[str, float]) -> None:
        """Writes the checkpoint if anything is better than before; the rest of it stays as it was."""
        improved = [name for name in self.names if values[name] < self.best[name] or not self.best_is_saved]
        if not improved:
            return
        self.best.update({name: values[name] for name in improved})
        state = self.model.state_dict()
        if self.names != ("",):
            prefixes = tuple(f"{part}.{name}." for name in improved for part in UNIT_PARTS)
            fresh = {key: value.detach().cpu().clone() for key, value in state.items() if key.startswith(prefixes)}
            self._kept = {key: fresh.get(key, self._kept.get(key, value)) for key, value in state.items()}
            state = self._kept
        if is_first():
            save_state_checkpoint(self.path, state, sum(self.best.values()) / len(self.best), self.precision)
        self.best_is_saved = True
