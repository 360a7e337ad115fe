"""Gradients of all processes added up before an optimizer takes its step."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from ...ops.ranks import sum_in_place, world_size

__all__ = ["sum_gradients"]


def sum_gradients(optimizer: Optimizer, max_norm: float | None = None) -> None:
    """Registers a hook that sums the gradients over processes; hooks that are registered later see the sums.

    Each process's loss is to be its share of the global batch's. Nothing is registered in a single process.

    Args:
        optimizer: of the parameters, which are the same in all processes.
        max_norm: what the norm of all gradients together is clipped to, once they are summed.
    """
    if world_size() == 1:
        return

    def before_step(*_: Any) -> None:
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        sum_in_place(each.grad for each in parameters if each.grad is not None)
        if max_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_norm)

    optimizer.register_step_pre_hook(before_step)
