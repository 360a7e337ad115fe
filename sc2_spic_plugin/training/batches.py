"""Moving what a loader yields to a device, whatever it is made of."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["to_device"]


def to_device(value: Any, device: torch.device) -> Any:
    """Returns tensors, and those inside tuples, lists and dicts, on `device`, without waiting for pinned memory."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(to_device(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value
