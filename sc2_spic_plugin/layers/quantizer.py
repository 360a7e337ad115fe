"""The uniform scalar quantiser between encoder and decoder."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..ops import round_straight_through

__all__ = ["UniformQuantizer"]

_INT32_LIMIT = float(2**31 - 128)  # the largest float32 below 2**31


class UniformQuantizer(nn.Module):
    """Rounds a latent to multiples of one step.

        latent y --(/ step, round)--> symbols (int32) --(* step)--> y_hat

    Args:
        step: the step Q, a positive number.

    Raises:
        ConfigError: the step is not a positive finite number.
    """

    def __init__(self, step: float) -> None:
        super().__init__()
        if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step) or step <= 0:
            raise ConfigError(f"step must be a positive number, got {step!r}; SPIC uses 0.5 to 10.")
        self.step = float(step)
        self.trained_step: Tensor
        self.register_buffer("trained_step", torch.tensor(self.step, dtype=torch.float32))

    def forward(self, latent: Tensor) -> Tensor:
        """Returns the dequantised latent, same shape; its gradient with respect to the latent is exactly one."""
        return round_straight_through(latent / self.step) * self.step

    def quantize(self, latent: Tensor, checks_finite: bool = True) -> Tensor:
        """Returns integer symbols (int32), same shape; ties go to the even symbol.

        Args:
            latent: any shape.
            checks_finite: False takes NaN as 0 and never waits for the GPU: for counting while the unit is trained,
                where the loss tells.

        Raises:
            ConfigError: the latent has entries that are not finite.
        """
        exact = latent.detach().to(torch.promote_types(latent.dtype, torch.float32))  # half precision lacks integers
        scaled = torch.round(exact / self.step)
        if not checks_finite:
            scaled = torch.nan_to_num(scaled)
        elif not bool(torch.isfinite(scaled).all()):
            raise ConfigError("the latent is not finite, so it cannot be coded; check the network and its input.")
        return scaled.clamp_(-_INT32_LIMIT, _INT32_LIMIT).to(torch.int32)

    def dequantize(self, symbols: Tensor) -> Tensor:
        """Returns step * symbols as float32, same shape.

        Raises:
            ConfigError: the symbols are not integers.
        """
        if symbols.is_floating_point() or symbols.is_complex() or symbols.dtype == torch.bool:
            raise ConfigError(f"symbols must be integers, got {symbols.dtype}; pass what `encode` returned.")
        return symbols.to(torch.float32) * self.step

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuses weights that were trained with another step: their latents would be rounded to other symbols."""
        trained = state_dict.get(f"{prefix}trained_step")
        if trained is not None and not math.isclose(float(trained), self.step, rel_tol=1e-6):
            raise CheckpointError(
                f"the unit was trained with step {float(trained):g}, not {self.step:g}; "
                "use the step it was trained with."
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Shows the step."""
        return f"step={self.step:g}"
