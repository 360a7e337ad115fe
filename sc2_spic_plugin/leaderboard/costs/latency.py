"""Latency of device and server, network and entropy coding apart: medians of whole forward passes on this machine."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch
from torch import nn

from ..protocol import TimingRules
from ..results import processor_name
from .sides import Sides
from .spending import CODING, DEVICE, NETWORK, PLACES, SERVER, spending

__all__ = ["Latency", "measure_latency"]


@dataclass(frozen=True)
class Latency:
    """Medians over the repeats, milliseconds per image; each is a median of its own, so parts need not add up.

    Attributes:
        encode_ms: everything on the device, from the prepared image to the bytes.
        decode_ms: everything on the server, from the bytes to the network's output.
        encode_network_ms: of `encode_ms` what is not entropy coding.
        encode_coding_ms: the rest of it.
        decode_network_ms: of `decode_ms` what is not entropy coding.
        decode_coding_ms: the rest of it.
        batch_size: images per pass.
        repeats: passes that count.
        device: where the networks ran, with the name of the processor; coders always run on the CPU.
        threads: CPU threads of torch.
    """

    encode_ms: float
    decode_ms: float
    encode_network_ms: float
    encode_coding_ms: float
    decode_network_ms: float
    decode_coding_ms: float
    batch_size: int
    repeats: int
    device: str
    threads: int


@torch.inference_mode()
def measure_latency(
    model: nn.Module,
    sides: Sides,
    batches: Sequence[Any],
    timing: TimingRules,
    device: torch.device,
    threads: int | None = None,
) -> Latency:
    """Times forward passes through real bytes.

    A pass begins with the prepared image, a tensor on `device` or a PIL image, and ends with the network's output.
    Reading, resizing and cropping files, and the link between the sides, are not in it.

    Args:
        model: in eval mode, its coder ready.
        sides: of the model.
        batches: what `model` takes, each of `timing.batch_size` images; they are used in turn.
        timing: passes that do not count, and those that do.
        device: where the model is.
        threads: CPU threads of torch while it runs; None: as they are.
    """
    clock = _clock(device)
    times: list[dict[tuple[str, str], float]] = []
    with _threads(threads):
        used = torch.get_num_threads()
        for number, batch in enumerate(islice(cycle(batches), timing.warm_up + timing.repeats)):
            with spending(sides.switches, sides.begins, clock) as pass_:
                model(batch)
            if number >= timing.warm_up:
                times.append(pass_.spent)

    def median(*places: tuple[str, str]) -> float:
        return statistics.median(sum(spent[place] for place in places) for spent in times) * 1e3 / timing.batch_size

    return Latency(
        median(*(place for place in PLACES if place[0] == DEVICE)),
        median(*(place for place in PLACES if place[0] == SERVER)),
        median((DEVICE, NETWORK)),
        median((DEVICE, CODING)),
        median((SERVER, NETWORK)),
        median((SERVER, CODING)),
        timing.batch_size,
        timing.repeats,
        _name(device),
        used,
    )


def _clock(device: torch.device) -> Callable[[], float]:
    """Returns a clock in seconds that waits for what the device still has to do."""
    if device.type != "cuda":
        return time.perf_counter

    def read() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return read


def _name(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return f"{device.type} ({name})" if name else device.type


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
