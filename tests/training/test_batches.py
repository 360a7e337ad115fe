"""Laws of batches on their way: everything inside moves, and waiting is told apart from working."""

import pytest
import torch

from sc2_spic_plugin.training.batches import DataWait, to_device
from sc2_spic_plugin.training.stored_features import StoredFeatures


def test_tensors_move_wherever_they_are() -> None:
    stored = StoredFeatures(torch.ones(2), {"output": torch.ones(1), "layer": {"out": torch.ones(3)}})
    moved = to_device([stored, (torch.zeros(1), "name")], torch.device("meta"))
    assert isinstance(moved[0], StoredFeatures) and moved[1][1] == "name"
    layer = moved[0].original["layer"]
    assert isinstance(layer, dict)
    assert {each.device.type for each in (moved[0].features, moved[0].original["output"], layer["out"])} == {"meta"}


def test_the_share_is_the_time_between_asking_for_a_batch_and_having_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("sc2_spic_plugin.training.batches.time.monotonic", lambda: now)

    def slow(count: int):
        nonlocal now
        for number in range(count):
            now += 3.0
            yield number

    wait = DataWait()
    for _ in wait.watch(slow(4)):
        now += 1.0
    assert wait.share == pytest.approx(0.75)
