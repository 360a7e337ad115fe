"""Timing that survives a busy machine: functions take turns, medians are reported, ratios are taken round by round.

Import it ahead of torch. Threads that spin at a barrier wait for a whole time slice whenever another process holds a
core, milliseconds for every layer; threads that sleep there do not.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# isort: split
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

__all__ = ["machine_line", "median", "median_ratio", "take_turns"]

Name = TypeVar("Name")


def take_turns(
    functions: Mapping[Name, Callable[[], object]], repeats: int, seconds: float = 0.0, warm_up: int = 1
) -> dict[Name, list[float]]:
    """Times functions in turn, so that whatever else runs slows all of them alike.

    Args:
        functions: what to time, by name; the order is turned round after every round.
        repeats: rounds that count.
        seconds: a turn calls its function as often as fits into this time, at least once.
        warm_up: calls of each function before anything counts.

    Returns:
        Seconds per call for each round, by name.
    """
    calls: dict[Name, int] = {}
    for name, function in functions.items():
        for _ in range(warm_up):
            function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, int(seconds / (time.perf_counter() - start)))
    times: dict[Name, list[float]] = {name: [] for name in functions}
    order = list(functions)
    for _ in range(repeats):
        for name in order:
            start = time.perf_counter()
            for _ in range(calls[name]):
                functions[name]()
            times[name].append((time.perf_counter() - start) / calls[name])
        order.reverse()
    return times


def median(times: list[float]) -> float:
    """Returns the median in milliseconds."""
    return statistics.median(times) * 1e3


def median_ratio(slow: list[float], fast: list[float]) -> tuple[float, float, float]:
    """Returns how many times as long `slow` took in the same round: median, lower and upper quartile."""
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, lower, upper


def machine_line() -> str:
    """Says what the figures were measured on."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    waiting = os.environ["OMP_WAIT_POLICY"].lower()
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, load average {load}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads that wait {waiting}"
    )
