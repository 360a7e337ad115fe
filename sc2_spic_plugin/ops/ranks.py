"""The processes that share one run, as torchrun starts them: joining, leaving, and what they tell each other.

With one process nothing here does or costs anything: sums are the values themselves, lists have one entry.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import ConfigError, SpicError

__all__ = [
    "barrier",
    "copy_from_first",
    "first_ahead",
    "from_first",
    "gathered",
    "is_first",
    "joined",
    "rank",
    "stacked",
    "sum_in_place",
    "world_size",
]

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)
"""How long a process waits for the others before it gives up; that one of them ended, it notices at once."""

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def world_size() -> int:
    """Returns how many processes share the run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Returns which of them this one is, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def is_first() -> bool:
    """Returns whether this is the process that writes files and talks to the user."""
    return rank() == 0


@contextmanager
def joined(device: str, timeout: timedelta = TIMEOUT) -> Iterator[str]:
    """Joins the processes that torchrun started, and leaves them at the end; inside another `joined` it does nothing.

    An error in one process leaves the group at once, so that the others fail too instead of waiting for it.

    Args:
        device: torch device string; of `cuda`, each process takes the one of its local rank.
        timeout: how long a process waits for the others.

    Yields:
        The device of this process.

    Raises:
        ConfigError: torchrun's variables are incomplete, or the processes cannot have a device each.
        SpicError: another process ended, or gave no answer in time.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) < 2:
        yield device
        return
    own = _own_device(device)
    if dist.is_initialized():
        yield own
        return
    if own != "cpu":
        torch.cuda.set_device(own)
    try:
        dist.init_process_group("gloo" if own == "cpu" else "cpu:gloo,cuda:nccl", timeout=timeout)
        yield own
        barrier()  # no process is done before the first has written everything
    except BaseException as error:
        if own == "cpu" and dist.is_initialized():  # NCCL could wait here for the others; its processes end as they are
            dist.destroy_process_group()
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            raise SpicError(
                "another process of this run ended, or gave no answer in time; the message of that one says why."
            ) from error
        raise
    dist.destroy_process_group()


def _own_device(device: str) -> str:
    missing = [name for name in _VARIABLES if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is set, {', '.join(missing)} not; start the processes with torchrun, or unset it."
        )
    if device == "cpu":
        return device
    if device != "cuda":
        raise ConfigError(f"several processes run on `cpu` or `cuda`, not `{device}`; each takes a GPU of its own.")
    local, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= devices:
        raise ConfigError(f"process {local} of this machine has no GPU, there are {devices}; lower --nproc_per_node.")
    return f"cuda:{local}"


def barrier() -> None:
    """Waits until every process has come here."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))


@contextmanager
def first_ahead() -> Iterator[None]:
    """Lets the first process go through alone and then all others: what it downloads or converts, they find."""
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def gathered(value: T) -> list[T]:
    """Returns the value of every process, in the order of ranks; any picklable objects."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def from_first(build: Callable[[], T]) -> T:
    """Returns what `build` gives in the first process; it is not called in the others."""
    if world_size() == 1:
        return build()
    value: list[Any] = [build() if is_first() else None]
    dist.broadcast_object_list(value, src=0)
    return value[0]


def stacked(tensor: Tensor) -> Tensor:
    """Returns the tensor of every process along a new first dimension, (ranks, ...); all must have one shape."""
    if world_size() == 1:
        return tensor[None]
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.stack(parts)


def sum_in_place(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by its sum over all processes; those of one type travel together."""
    if world_size() > 1:
        _together(tensors, dist.all_reduce)


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by the first process's."""
    if world_size() > 1:
        _together(tensors, lambda flat: dist.broadcast(flat.view(torch.uint8), src=0))


@torch.no_grad()
def _together(tensors: Iterable[Tensor], collective: Callable[[Tensor], object]) -> None:
    kinds: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for alike in kinds.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in alike])
        if flat.numel():
            collective(flat)
        for tensor, part in zip(alike, flat.split([tensor.numel() for tensor in alike]), strict=True):
            tensor.copy_(part.view_as(tensor))
