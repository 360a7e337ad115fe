"""Laws of checkpoint files: whole or absent, read without running what is in them, refused where they do not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import assert_same, make_network, make_student

from sc2_spic_plugin.errors import CheckpointError
from sc2_spic_plugin.training.checkpoint import (
    load_model_checkpoint,
    replace_model,
    save_model_checkpoint,
    save_state_checkpoint,
    training_precision,
)


def test_checkpoints_are_whole_or_absent(tmp_path: Path, monkeypatch: Any) -> None:
    model, path = make_student(), tmp_path / "checkpoint.pt"
    save_model_checkpoint(path, model, 1.0)
    before = path.read_bytes()
    save: Callable[..., None] = torch.save

    def failing(content: Any, file: Any) -> None:
        save({"model": {}}, file)
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(OSError, match="No space left"):
        save_model_checkpoint(path, make_student(seed=3), 0.5)
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_says_what_it_was_trained_in_if_that_is_known(tmp_path: Path) -> None:
    model, path, plain = make_student(), tmp_path / "a.pt", tmp_path / "plain.pt"
    save_state_checkpoint(path, model.state_dict(), 0.5, "bf16")
    replace_model(path, tmp_path / "b.pt", make_student(seed=3))
    assert [training_precision(each) for each in (path, tmp_path / "b.pt")] == ["bf16", "bf16"]
    save_model_checkpoint(plain, model, 0.5)
    torch.save(model.state_dict(), tmp_path / "bare.pt")
    silent = (plain, tmp_path / "bare.pt", tmp_path / "network.safetensors")
    assert [training_precision(each) for each in silent] == [None, None, None]


def test_what_the_hosts_script_saves_is_read_back(tmp_path: Path) -> None:
    from argparse import Namespace

    model, path = make_student(seed=0), tmp_path / "script.pt"
    content = {"model": model.state_dict(), "optimizer": {}, "best_value": 1.0, "args": Namespace(device="cpu")}
    torch.save(content, path)
    other = make_student()
    load_model_checkpoint(path, other)
    assert_same(model.state_dict(), other.state_dict())


def test_missing_damaged_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    model = make_student()
    damaged, foreign, other, plain = (tmp_path / f"{name}.pt" for name in ("damaged", "foreign", "other", "plain"))
    save_model_checkpoint(damaged, model, 0.0)
    damaged.write_bytes(damaged.read_bytes()[:-300])
    torch.save({"answer": 42}, foreign)
    save_model_checkpoint(other, make_student(seed=1), 0.0)
    save_model_checkpoint(plain, make_network(), 0.0)
    for path, message in (
        (tmp_path / "none.pt", "no checkpoint at .*train it first"),
        (damaged, "cannot be read as a checkpoint"),
        (foreign, "holds no state dict"),
        (other, "made for another network"),
        (plain, "has no `network_digest`"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_model_checkpoint(path, model)
    with pytest.raises(CheckpointError, match="does not fit the model of this config"):
        load_model_checkpoint(other, make_network())


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "touched",)

    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model_checkpoint(tmp_path / "evil.pt", make_student())
    assert not (tmp_path / "touched").exists()
