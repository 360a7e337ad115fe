"""Unsupervised training reads no label: a flat folder will do, and what stands where labels stand is never touched."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_parts import TinyImages, assert_same, make_images, make_student, supervised_stage, unsupervised_stage
from torch.utils.data import Dataset
from torchdistill.core.training import get_training_box
from torchvision.transforms import ToTensor

from sc2_spic_plugin.datasets import NO_LABEL, FlatImageFolder, HeldOut
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.loop import train

DEVICE = torch.device("cpu")


class Poison:
    """A target that must not be looked at; only its type may be asked for."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Poison
        raise AssertionError(f"a label was read: {name}")


def trained(folder: Path, data: dict[str, Dataset]) -> tuple[dict[str, torch.Tensor], float]:
    """Trains two epochs from seed 0; returns the state and the value that selected it."""
    model = make_student(distills=True)
    config = {"train": unsupervised_stage(epochs=2)}
    seed_everything(0)
    checkpoint = train(BuiltConfig(Path("tiny.yaml"), config, data, model, None, DEVICE), folder)
    return model.state_dict(), torch.load(checkpoint, weights_only=True)["best_value"]


def test_it_trains_on_a_flat_folder_and_selects_with_a_finite_value(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(24):
        pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index:02d}.png")
    parts = {"train": "train", "held_out": "selection"}
    data = {
        name: HeldOut(FlatImageFolder(tmp_path), part=part, fraction=0.3, transform=ToTensor())
        for name, part in parts.items()
    }
    assert {target for part in data.values() for _, target in part} == {NO_LABEL}
    before = {name: value.clone() for name, value in make_student(distills=True).state_dict().items()}
    state, value = trained(tmp_path / "out", data)
    assert 0 < value < float("inf")
    assert not torch.equal(state["units.unit.encoder.0.weight"], before["units.unit.encoder.0.weight"])


def test_other_labels_change_not_one_bit(tmp_path: Path) -> None:
    states = []
    for number, label in enumerate((NO_LABEL, 3)):
        data = {"train": TinyImages(labels=[label] * 16), "held_out": TinyImages(8, seed=1, labels=[label] * 8)}
        states.append(trained(tmp_path / str(number), data))
    assert_same(states[0][0], states[1][0])
    assert states[0][1] == states[1][1]


def test_the_loss_never_touches_the_targets() -> None:
    data = {"train": TinyImages(), "held_out": TinyImages()}
    model = make_student(distills=True)
    box = get_training_box(model, data, unsupervised_stage(), DEVICE, None, False, 1)
    box.pre_epoch_process(epoch=0)
    assert torch.isfinite(box.forward_process(make_images(4), Poison(), None))
    box.clean_modules()
    box = get_training_box(model, data, supervised_stage(), DEVICE, None, False, 1)
    box.pre_epoch_process(epoch=0)
    with pytest.raises((AssertionError, TypeError), match=r"a label was read|must be Tensor, not Poison"):
        box.forward_process(make_images(4), Poison(), None)
    box.clean_modules()
