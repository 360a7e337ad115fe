"""What a loader yields: moving it to a device, and how long training waits for it."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["DataWait", "to_device"]


class DataWait:
    """Counts the time that training waits for its next batch; where it is long, loader workers help, or a store."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._waited = 0.0

    def watch(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yields the batches."""
        iterator = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - asked
            yield batch

    @property
    def share(self) -> float:
        """The part of the time since the beginning that was spent waiting, 0 to 1."""
        return self._waited / max(time.monotonic() - self._began, 1e-9)


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
