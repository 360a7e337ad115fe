"""What a pass spends is booked once, at the place where it was spent; latency is the median of what counts."""

from typing import Any

import pytest
import torch
from torch import nn

from sc2_spic_plugin.leaderboard import TimingRules
from sc2_spic_plugin.leaderboard.costs import latency
from sc2_spic_plugin.leaderboard.costs.latency import measure_latency
from sc2_spic_plugin.leaderboard.costs.sides import Sides
from sc2_spic_plugin.leaderboard.costs.spending import (
    CODING,
    DEVICE,
    NETWORK,
    SERVER,
    Move,
    Switch,
    spending,
)
from sc2_spic_plugin.leaderboard.results.provenance import processor_name


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Coder(nn.Module):
    """Spends seconds that are told, and one more outside of its calls."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.inner = clock, nn.Identity()

    def code(self, seconds: float) -> None:
        self.clock.now += seconds

    def forward(self, seconds: float) -> None:
        self.clock.now += 1
        self.code(seconds)
        self.clock.now += 10
        self.code(100 * seconds)


CODES = Switch(None, "code", Move(work=CODING), Move(side=SERVER, work=NETWORK))
"""The first call ends the device's work; the owner is filled in by each test."""


def sides(coder: Coder) -> Sides:
    return Sides((CODES._replace(owner=coder),))


def test_everything_spent_is_booked_once_where_it_was_spent() -> None:
    coder = Coder(Clock())
    with spending(sides(coder).switches, DEVICE, coder.clock) as books:
        coder(2.0)
        coder.clock.now += 1000
    assert books.spent == {
        (DEVICE, NETWORK): 1.0, (DEVICE, CODING): 2.0, (SERVER, NETWORK): 1010.0, (SERVER, CODING): 200.0
    }  # fmt: skip
    assert sum(books.spent.values()) == coder.clock.now


def test_watched_calls_are_as_they_were_afterwards_also_after_an_error() -> None:
    coder = Coder(Clock())
    before = dict(vars(coder))
    switches = (CODES._replace(owner=coder), CODES._replace(owner=Coder), Switch(coder, "inner"))
    original = Coder.code
    with pytest.raises(RuntimeError, match="stop"), spending(switches, DEVICE, coder.clock):
        assert coder.inner(3) == 3 and "code" in vars(coder) and Coder.code is not original
        raise RuntimeError("stop")
    assert vars(coder) == before and Coder.code is original and "forward" not in vars(coder.inner)


def test_latency_is_the_median_per_image_of_passes_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(latency, "_clock", lambda _device: clock)
    coder = Coder(clock)
    timing = TimingRules(batch_size=2, warm_up=2, repeats=3)
    seconds: list[Any] = [50.0, 60.0, 4.0, 2.0, 6.0]  # the first two do not count
    threads = torch.get_num_threads()
    found = measure_latency(coder, sides(coder), seconds, timing, torch.device("cpu"), threads + 1)
    assert (found.encode_network_ms, found.encode_coding_ms) == (500.0, 2000.0)
    assert (found.decode_network_ms, found.decode_coding_ms) == (5000.0, 200_000.0)
    assert (found.encode_ms, found.decode_ms) == (2500.0, 205_000.0)
    assert (found.batch_size, found.repeats, found.device, found.threads) == (
        2,
        3,
        f"cpu ({processor_name()})",
        threads + 1,
    )
    assert torch.get_num_threads() == threads


def test_images_are_used_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(latency, "_clock", lambda _device: clock)
    coder = Coder(clock)
    timing = TimingRules(warm_up=0, repeats=4)
    found = measure_latency(coder, sides(coder), [1.0, 3.0], timing, torch.device("cpu"))
    assert found.encode_coding_ms == 2000.0
