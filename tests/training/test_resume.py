"""Laws of resuming: however a training stops, going on ends with the bits of one that never stopped."""

import functools
import math
import multiprocessing
import os
import random
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_parts import (
    RATE,
    UNIT,
    TinyImages,
    make_network,
    make_student,
    output_of,
    role,
    stage,
    supervised_stage,
    wrapped,
)
from tiny_segmenter import TinyPairs, make_host_segmenter
from torch import Tensor, nn

from sc2_spic_plugin.cli.main import main
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import find_state

DEVICE = torch.device("cpu")
STEPS = 4  # in an epoch


class NoisyImages(TinyImages):
    """Images augmented with draws from all three global generators."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = super().__getitem__(index)
        return image + 0.3 * torch.randn_like(image) + random.random() * float(np.random.rand()), target


def augmented() -> dict[str, Any]:
    return {"train": NoisyImages(4 * STEPS), "held_out": TinyImages(8, seed=1)}


def stage_of(epochs: int, workers: int = 0, accumulates: int = 1) -> dict[str, Any]:
    config = supervised_stage(epochs=epochs)
    config["train_data_loader"]["kwargs"] = {"batch_size": 4, "num_workers": workers}
    config["optimizer"] = {"key": "Adam", "kwargs": {"lr": 0.01}, "grad_accum_step": accumulates}
    config["scheduler"] = {"key": "MultiStepLR", "kwargs": {"milestones": [1, 2], "gamma": 0.5}}
    return config


CONFIGS: dict[str, dict[str, Any]] = {
    "one stage": stage_of(3, accumulates=3),
    "two stages": {"stage1": stage_of(2), "stage2": stage_of(2)},
    "workers": stage_of(2, workers=1),
}


def spic_run(name: str) -> BuiltConfig:
    network = make_network()
    torch.manual_seed(1)
    estimator = {"key": "factorized"}
    model = SpicModel(network, "layer2", UNIT, input_size=(3, 32, 32), rate_estimator=estimator)
    return BuiltConfig(Path("tiny.yaml"), {"train": CONFIGS[name]}, augmented(), model, None, DEVICE)


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


def go(make: Callable[[], BuiltConfig], out: Path, save_every: float, report: Any = lambda *_: None) -> nn.Module:
    """Trains, from the folder's state if it has one."""
    seed_everything(5)
    run = make()
    try:
        resumed = find_state(out)
        seed_everything(99)  # nothing may depend on how the process that resumes was seeded
    except ConfigError:
        resumed = None
    train(run, out, report=report, resumed=resumed, facts={"seed": 5}, save_every=save_every)
    return run.model


def assert_same_content(one: Any, other: Any, where: str = "") -> None:
    assert type(one) is type(other), where
    if isinstance(one, Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_same_content(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same_content(*pair, f"{where}.{number}")
    else:
        assert one == other, where


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
def process() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sc2_spic_plugin.training.loop", "sc2_spic_plugin.cli.running"])

    def run(*arguments: Any) -> int | None:
        child = context.Process(target=in_a_process, args=arguments)
        child.start()
        child.join(300)
        return child.exitcode

    return run


@pytest.fixture(scope="module")
def through(process: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the folder of a training that is never stopped."""

    @functools.cache
    def run(config: str) -> Path:
        out = tmp_path_factory.mktemp("through") / "out"
        assert process(config, out, math.inf, None) == 0
        return out

    return run


@pytest.mark.slow
@pytest.mark.parametrize("case", KILLS)
def test_a_killed_and_resumed_training_ends_with_the_bits_of_one_that_ran_through(
    case: str, process: Any, through: Callable[[str], Path], tmp_path: Path
) -> None:
    config, save_every, kills = KILLS[case]
    for kill in kills:
        assert process(config, tmp_path / "killed", save_every, kill) == -signal.SIGKILL
    assert process(config, tmp_path / "killed", save_every, None) == 0
    assert_same_end(through(config), tmp_path / "killed")


class StoppedError(Exception):
    pass


def stopping(step: int) -> Any:
    left = iter(range(step - 1))

    def report(*_: Any) -> None:
        if next(left, None) is None:
            raise StoppedError

    return report


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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, alter, lambda path: path.write_bytes(b"")], ids=["cut", "bit", "empty"])
def test_a_damaged_state_is_dropped_for_the_one_before(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    make, out = lambda: spic_run("one stage"), tmp_path / "stopped"
    with pytest.raises(StoppedError):
        go(make, out, math.inf, stopping(2 * STEPS + 2))
    assert find_state(out).path.name == "last.pt" and find_state(out).position.epoch == 1
    damage(out / "last.pt")
    found = find_state(out)
    assert found.path.name == "previous.pt" and found.position.epoch == 0 and found.damaged == (out / "last.pt",)
    with pytest.raises(StoppedError):
        go(make, out, math.inf, stopping(1))
    assert {path.name for path in out.iterdir()} == {"checkpoint.pt", "previous.pt"}, "the good one is not pushed out"
    damage(out / "previous.pt")
    with pytest.raises(CheckpointError, match=r"previous\.pt cannot be read.*begin anew"):
        find_state(out)


def test_a_full_disk_costs_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoppedError):
        go(lambda: spic_run("one stage"), tmp_path, math.inf, stopping(2 * STEPS + 1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"checkpoint.pt", "last.pt", "previous.pt"}

    def full(content: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        go(lambda: spic_run("one stage"), tmp_path, 0.0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_state_of_another_network_model_or_optimizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        go(lambda: spic_run("one stage"), tmp_path, 0.0, stopping(3))
    saved = find_state(tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    factorized = {"rate_estimator": {"key": "factorized"}}
    others = {
        "another network": (make_student(7, **factorized), CONFIGS["one stage"]),
        "other tensors": (make_student(), CONFIGS["one stage"]),
        "parameter group": (make_student(**factorized), {**CONFIGS["one stage"], "optimizer": ONE_MODULE}),
    }
    for message, (model, config) in others.items():
        run = BuiltConfig(Path("tiny.yaml"), {"train": config}, augmented(), model, None, DEVICE)
        with pytest.raises(CheckpointError, match=rf"last\.pt does not fit .*{message}"):
            train(run, tmp_path, resumed=saved)
    with pytest.raises(ConfigError, match=r"made with another seed \(5, now 6\)"):
        saved.check({"seed": 6})
    assert (tmp_path / "last.pt").read_bytes() == before


ONE_MODULE = {"key": "SGD", "kwargs": {"lr": 0.1}, "module_wise_kwargs": [{"module": "unit"}]}


def test_code_in_a_state_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"layout": 1, "model": Evil()}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        find_state(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="no training state of this version"):
        find_state(tmp_path)
    assert not (tmp_path / "touched").exists()


SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 2,
    "train.stage1.num_epochs": 2,
    "train.stage1.train_data_loader.kwargs.batch_size": 12,
}


def test_the_command_resumes_what_stopped_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(render_config(resolve_config("smoke/spic_unsupervised").read_text(), SMALL))
    out = tmp_path / "out"

    def command(*arguments: object, folder: Path = out) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sc2-spic", "run", str(config), "--out", str(folder), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), " ".join((captured.out + captured.err).split())

    def refusal(*arguments: object) -> str:
        code, said = command(*arguments)
        assert code == 1
        return said

    assert "nothing to resume; run without --resume" in refusal("--resume") and not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr("sc2_spic_plugin.training.loop._held_out_values", iter_of(1.0, math.nan))
        assert "after epoch 2/2" in refusal()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"config.yaml", "checkpoint.pt", "last.pt"}
    assert "pass --resume to go on, or --overwrite to begin anew" in refusal()
    longer = refusal("--resume", "--set", "train.stage1.num_epochs=3")
    assert re.search(r"is another config, first in line \d+ \(`num_epochs: .*2`, now `num_epochs: .*3`\)", longer)
    assert "another seed (0, now 1)" in refusal("--resume", "--seed", 1)
    assert "another precision (fp32, now bf16)" in refusal("--resume", "--precision", "bf16")
    assert "--test-only trains nothing" in refusal("--resume", "--test-only")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    code, said = command("--resume")
    assert code == 0 and "the end of epoch 1" in said
    result = (out / "result.json").read_bytes()
    code, said = command("--resume")
    assert code == 0 and "this run is finished" in said and (out / "result.json").read_bytes() == result
    assert "is another config" in refusal("--resume", "--set", "train.stage1.num_epochs=3")
    (out / "result.json").unlink()
    checkpoint = torch.load(out / "checkpoint.pt", weights_only=True)
    with monkeypatch.context() as patch:
        patch.setattr("sc2_spic_plugin.training.loop._epoch", None)  # it only measures
        assert command("--resume")[0] == 0 and (out / "result.json").is_file()
    assert_same_content(checkpoint, torch.load(out / "checkpoint.pt", weights_only=True))


def iter_of(*values: float) -> Callable[..., dict[str, float]]:
    left = iter(values)
    return lambda *_: {"": next(left)}
