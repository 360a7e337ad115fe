"""Laws of the saved state: a whole one of the same run is gone on with, no other, and no accident costs the last."""

import math
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resume_parts import CONFIGS, DEVICE, STEPS, augmented, go, spic_run, stopping
from tiny_parts import make_student
from training_parts import StoppedError, assert_same_content

from sc2_spic_plugin.cli.main import main
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.training.build import BuiltConfig
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import find_state

ONE_MODULE = {"key": "SGD", "kwargs": {"lr": 0.1}, "module_wise_kwargs": [{"module": "unit"}]}
SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 2,
    "train.stage1.num_epochs": 2,
    "train.stage1.train_data_loader.kwargs.batch_size": 12,
}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def alter(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        largest = archive.read(max(archive.infolist(), key=lambda each: each.file_size))
    content = bytearray(path.read_bytes())
    content[content.index(largest) + len(largest) // 2] ^= 1  # between two members a bit says nothing
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


def iter_of(*values: float) -> Callable[..., dict[str, float]]:
    left = iter(values)
    return lambda *_: {"": next(left)}


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
    with monkeypatch.context() as patch:
        patch.setattr("sc2_spic_plugin.training.loop._held_out_values", iter_of(math.nan))
        refusal("--overwrite", "--set", "train.stage1.num_epochs=3")
    assert {path.name for path in out.iterdir()} >= {"config.yaml"} and not (out / "result.json").exists()
    assert not (out / "checkpoint.pt").exists()
    (out / "previous.pt").write_bytes(b"")
    assert "previous.pt is of a training that stopped" in refusal()
    assert command("--overwrite")[0] == 0
    (out / "result.json").unlink()
    checkpoint = torch.load(out / "checkpoint.pt", weights_only=True)
    with monkeypatch.context() as patch:
        patch.setattr("sc2_spic_plugin.training.loop._epoch", None)  # it only measures
        assert command("--resume")[0] == 0 and (out / "result.json").is_file()
    assert_same_content(checkpoint, torch.load(out / "checkpoint.pt", weights_only=True))
