"""Rounding and its two differentiable stand-ins used in training."""

import torch
from torch import Tensor

__all__ = ["add_uniform_noise", "round_straight_through"]


def round_straight_through(x: Tensor) -> Tensor:
    """Rounds half to even; the gradient passes unchanged (exactly one everywhere)."""
    return x + (torch.round(x) - x).detach()


def add_uniform_noise(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Adds noise uniform on [-1/2, 1/2), the usual stand-in for rounding in rate estimation.

    Args:
        x: any shape, in units of the quantiser step.
        generator: the caller's own random generator, or None for torch's default.
    """
    noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + (noise - 0.5)
