"""Laws of resuming: however a training stops, going on ends with the bits of one that never stopped."""

import functools
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resume_parts import DEVICE, augmented, go, spic_run, stopping
from tiny_parts import RATE, make_network, make_student, output_of, role, stage, wrapped
from tiny_segmenter import TinyPairs, make_host_segmenter
from training_parts import StoppedError, assert_same_content, exit_codes

from sc2_spic_plugin.training.build import BuiltConfig


def teacher_run() -> BuiltConfig:
    """A student beside a teacher that learns too, and whose statistics move."""
    terms = {
        "task": wrapped("CrossEntropyLoss"),
        "match": wrapped("MSELoss", target=output_of(".", is_from_teacher=True)),
        "rate": RATE,
    }
    config = stage(terms, epochs=2, teacher=role([]), student=role(["rate"]))
    config["train_data_loader"]["kwargs"]["batch_size"] = 4
    teacher = make_network(3).train()
    return BuiltConfig(Path("tiny.yaml"), {"train": config}, augmented(), make_student(), teacher, DEVICE)


def host_run() -> BuiltConfig:
    """A model of the host whose coder tables are made, and change their shapes, after the first stage."""
    wrapper = {
        "key": "DictLossWrapper",
        "kwargs": {**wrapped("")["criterion_wrapper"]["kwargs"], "weights": {"out": 1}},
    }
    loss = {"criterion": {"key": "CrossEntropyLoss", "kwargs": {"ignore_index": 255}}, "criterion_wrapper": wrapper}
    config = stage({"task": {**loss, "weight": 1.0}}, model=role([]))
    for name in ("train_data_loader", "val_data_loader"):
        config[name] = {**config[name], "collate_fn": "spic_pair_collate"}
        config[name]["kwargs"] = {"batch_size": 2, "num_workers": 0}
    stages = {"epoch_to_update": 1, "stage1": config, "stage2": config}
    data = {"train": TinyPairs(((32, 32),) * 8), "held_out": TinyPairs(((32, 32),) * 2, seed=9)}
    return BuiltConfig(Path("tiny.yaml"), {"train": stages}, data, make_host_segmenter(), None, DEVICE)


def assert_same_end(one: Path, other: Path) -> None:
    """Both folders hold the same bits: weights, tables, optimizer, scheduler, generators."""
    for name in ("checkpoint.pt", "last.pt"):
        assert_same_content(*(torch.load(folder / name, weights_only=True) for folder in (one, other)), name)
    assert not list(other.glob(".*")), "nothing half-written is left"


def in_a_process(config: str, out: Path, save_every: float, kill: tuple[str, int] | None) -> None:
    """Trains until this process kills itself at a step, or in the middle of writing a file."""
    torch.set_num_threads(1)
    left = math.inf if kill is None else kill[1]
    write = torch.save

    def count() -> bool:
        nonlocal left
        left -= 1
        return left <= 0

    def step(*_: Any) -> None:
        if kill is not None and kill[0] == "step" and count():
            os.kill(os.getpid(), signal.SIGKILL)

    def save(content: Any, file: Any) -> None:
        write(content, file)
        if kill is not None and kill[0] == "write" and count():
            file.truncate(file.tell() // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save
    go(lambda: spic_run(config), out, save_every, step)


KILLS: dict[str, tuple[str, float, list[tuple[str, int]]]] = {
    "one stage, saved after epochs": ("one stage", math.inf, [("step", 3), ("step", 6), ("write", 2)]),
    "one stage, saved after steps": ("one stage", 0.0, [("step", 3), ("write", 2), ("step", 5)]),
    "two stages, saved after epochs": ("two stages", math.inf, [("step", 9), ("step", 6), ("write", 1)]),
    "two stages, saved after steps": ("two stages", 0.0, [("step", 7), ("write", 3), ("step", 4)]),
}


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the folder of a training that is never stopped."""

    @functools.cache
    def run(config: str) -> Path:
        out = tmp_path_factory.mktemp("through") / "out"
        assert exit_codes(in_a_process, [(config, out, math.inf, None)]) == [0]
        return out

    return run


@pytest.mark.slow
@pytest.mark.parametrize("case", KILLS)
def test_a_killed_and_resumed_training_ends_with_the_bits_of_one_that_ran_through(
    case: str, through: Callable[[str], Path], tmp_path: Path
) -> None:
    config, save_every, kills = KILLS[case]
    for kill in kills:
        assert exit_codes(in_a_process, [(config, tmp_path / "killed", save_every, kill)]) == [-signal.SIGKILL]
    assert exit_codes(in_a_process, [(config, tmp_path / "killed", save_every, None)]) == [0]
    assert_same_end(through(config), tmp_path / "killed")


@pytest.mark.parametrize(
    "make", [teacher_run, host_run, lambda: spic_run("workers")], ids=["teacher", "host", "worker"]
)
def test_what_is_beside_the_model_goes_on_too(make: Callable[[], BuiltConfig], tmp_path: Path) -> None:
    one = go(make, tmp_path / "through", math.inf)
    for step in (3, 4):  # the first epoch has four
        with pytest.raises(StoppedError):
            go(make, tmp_path / "stopped", 0.0, stopping(step))
    other = go(make, tmp_path / "stopped", 0.0)
    assert_same_end(tmp_path / "through", tmp_path / "stopped")
    assert getattr(one, "bottleneck_updated", None) == getattr(other, "bottleneck_updated", None)
