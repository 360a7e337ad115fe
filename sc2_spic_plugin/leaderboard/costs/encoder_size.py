"""Size of what the device must store, by the rules of sc2bench's `analyze_model_size`."""

from collections.abc import Sequence
from typing import NamedTuple

from sc2bench.analysis import analyze_model_size
from torch import Tensor, nn

from ...models.frozen import frozen_state

__all__ = ["stored_kilobytes"]


class _Named(NamedTuple):
    """What `analyze_model_size` asks of a model: its state.

    The network of a split model is frozen: its tensors are no parameters, are saved with no checkpoint and are not in
    `state_dict`, so sc2bench would count nothing of it. `frozen_state` names them as the network itself does.
    """

    tensors: dict[str, Tensor]

    def state_dict(self) -> dict[str, Tensor]:
        """Returns every tensor by name."""
        return self.tensors


def stored_kilobytes(model: nn.Module, prefixes: Sequence[str]) -> float:
    """Returns the size in KB (1024 bytes) of the tensors whose names begin so.

    sc2bench's rules: parameters and saved buffers (batch-norm statistics and their counters too), each value with the
    bits of its type, nothing compressed.

    Args:
        model: frozen in part or not.
        prefixes: as `Sides` has them.
    """
    state = _Named(frozen_state(model))
    return float(analyze_model_size(state, list(prefixes))["encoder"]) / 8 / 1024
