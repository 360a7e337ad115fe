"""What training computes in: fp32, or bf16 under autocast where the device has instructions for it."""

import torch

from ..errors import ConfigError, nearest

__all__ = ["PRECISIONS", "computes_bf16", "settled_precision"]

PRECISIONS = ("auto", "fp32", "bf16")
_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Names of `torch.cpu.get_capabilities`, x86 and ARM; without one of them a bf16 convolution is emulated."""


def computes_bf16(device: str | torch.device) -> bool:
    """Returns whether a device has bf16 instructions; one without is many times as slow in bf16 as in fp32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # an older torch does not say
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in _CPU_INSTRUCTIONS)


def settled_precision(precision: str, device: str | torch.device) -> str:
    """Returns `fp32` or `bf16`: what was asked for; of `auto`, bf16 where the device computes in it.

    Raises:
        ConfigError: an unknown precision; the message names the nearest.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision `{precision}`. {nearest(precision, PRECISIONS)}")
    if precision != "auto":
        return precision
    return "bf16" if computes_bf16(device) else "fp32"
