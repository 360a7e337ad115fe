"""Released checkpoints: keys map one to one, the prior is set apart, and another file is refused with its reason."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_release import ASKED, CHANNELS, COUNTS, LATENT, released_state, save_table, save_weights

from sc2_spic_plugin.errors import CheckpointError, ConfigError, TableError
from sc2_spic_plugin.importers import (
    load_published_unit,
    prior_is_untrained,
    read_published_weights,
    single_published_unit,
)
from sc2_spic_plugin.importers.weights import KEYS
from sc2_spic_plugin.layers import BottleneckUnit


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return save_weights(tmp_path / "model.pth.tar"), save_table(tmp_path / "freq.pickle")


def test_every_key_of_a_unit_is_loaded_from_one_released_key(files: tuple[Path, Path]) -> None:
    unit, table = load_published_unit(*files, **ASKED)
    state, released = unit.state_dict(), released_state()
    assert set(KEYS.values()) == set(state) - {"quantizer.trained_step"} and len(set(KEYS.values())) == len(KEYS)
    for theirs, ours in KEYS.items():
        expected = released[theirs].transpose(0, 1) if theirs == "conv2_4.weight" else released[theirs]
        assert torch.equal(state[ours], expected), theirs
    assert not any(module.training for module in unit.modules())
    assert table == COUNTS and unit.step == ASKED["step"] and unit.latent_channels == LATENT


def test_prior_keys_are_reported_and_never_loaded(files: tuple[Path, Path]) -> None:
    weights = read_published_weights(files[0])
    assert set(weights.prior) == set(released_state()) - set(KEYS) and weights.prior
    assert weights.in_channels == CHANNELS and weights.decoder_kernel == 9
    unit, _ = load_published_unit(*files, **ASKED)
    assert sum(parameter.numel() for parameter in unit.parameters()) == weights.parameters


def test_a_prior_is_untrained_as_long_as_scales_and_biases_are_one_constant() -> None:
    def prior(**changes: Any) -> dict[str, torch.Tensor]:
        state = {key: value for key, value in released_state().items() if key not in KEYS}
        for key, value in changes.items():
            state[key.replace("__", ".")][2] = value
        return state

    assert prior_is_untrained(prior())
    assert prior_is_untrained(prior(priorEncoder__conv1__weight=9.0))  # convolutions start at random
    for changed in ("priorEncoder__bn1__weight", "priorDecoder__bn1__bias", "priorDecoder__deconv1__bias"):
        assert not prior_is_untrained(prior(**{changed: 0.5}))
    with pytest.raises(CheckpointError, match="no prior"):
        prior_is_untrained({})


def test_missing_and_unknown_keys_are_named(tmp_path: Path) -> None:
    state = released_state()
    del state["bn3_1.running_var"]
    with pytest.raises(CheckpointError, match=r"lacks `bn3_1\.running_var`"):
        read_published_weights(save_weights(tmp_path / "a", state))
    for foreign in ("conv2_6.weight", "priorEncoder.conv9.weight", "module.conv2_2.weight", "bitEstimator_z.f5.h"):
        with pytest.raises(CheckpointError, match=foreign.replace(".", r"\.")):
            read_published_weights(save_weights(tmp_path / "b", {**released_state(), foreign: torch.ones(1)}))
    for content in (None, [1], torch.ones(2)):
        torch.save({"model": released_state()} if content is None else content, tmp_path / "c")
        with pytest.raises(CheckpointError, match="no `state_dict`"):
            read_published_weights(tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"`bn3_1\.bias` is no tensor"):
        read_published_weights(save_weights(tmp_path / "d", {**released_state(), "bn3_1.bias": 1.0}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("conv2_3.weight", torch.zeros(LATENT, CHANNELS - 1, 1, 1), r"`conv2_3\.weight` .* its neighbours want"),
        ("conv2_4.weight", torch.zeros(LATENT, CHANNELS), "expected .C_r, C, 1, 1"),
        ("conv2_5.weight", torch.zeros(CHANNELS, 1, 9), r"`conv2_5\.weight`"),
        ("bn4_1.running_mean", torch.zeros(CHANNELS + 1), r"`bn4_1\.running_mean`"),
        ("bn2_1.weight", torch.full((CHANNELS,), float("nan")), "not finite"),
        ("bn2_1.weight", torch.ones(CHANNELS, dtype=torch.int64), "not finite"),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(
    key: str, value: torch.Tensor, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_published_weights(save_weights(tmp_path / "a", {**released_state(), key: value}))


class Carrier:
    """Pickles as a call of the shell."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_checkpoint_with_code_in_it_is_refused_by_name_and_the_code_never_runs(
    is_zip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    torch.save({"state_dict": released_state(), "hook": Carrier()}, path, _use_new_zipfile_serialization=is_zip)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"names `posix\.system`"):
        read_published_weights(path)
    assert not (tmp_path / "ran").exists()


def test_missing_empty_and_half_downloaded_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_published_weights(path)
    path.touch()
    with pytest.raises(CheckpointError, match="empty"):
        read_published_weights(path)
    whole = save_weights(tmp_path / "whole").read_bytes()
    for content in (whole[: len(whole) // 2], b"version https://git-lfs.github.com/spec/v1\n", b"<html>"):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no whole PyTorch file"):
            read_published_weights(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_channels": 4}, "a latent of 2 channels, .* has 4"),
        ({"stride": 4}, "a decoder kernel of 9, .* stride 4 has 5"),
        ({"split": "S3"}, "features of 256 channels, .* S3 .* has 1024"),
        ({"task": "classification"}, "features of 256 channels"),
    ],
)
def test_weights_of_another_unit_than_asked_for_are_refused(
    changes: dict[str, Any], message: str, files: tuple[Path, Path]
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_published_unit(*files, **{**ASKED, **changes})
    with pytest.raises(CheckpointError, match=message):
        single_published_unit(*files, **{**ASKED, **changes})


def test_tasks_splits_and_steps_that_were_never_released_are_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="`S2`"):
        load_published_unit(*files, **{**ASKED, "split": "S22"})
    with pytest.raises(ConfigError, match="`segmentation`"):
        load_published_unit(*files, **{**ASKED, "task": "segmentaton"})
    with pytest.raises(TableError, match="another step"):
        load_published_unit(*files, **{**ASKED, "step": 2.0})
    for wrong in ({"step": True}, {"stride": 0}, {"latent_channels": 2.0}, {"index": -1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            single_published_unit(*files, **{**ASKED, **wrong})


def test_a_single_checkpoint_and_its_table_make_a_unit(files: tuple[Path, Path]) -> None:
    found = single_published_unit(*files, **ASKED, index=3)
    assert found.name == "segmentation/S1/3" and found.supervision == "supervised" and found.in_channels == CHANNELS
    unit, table = found.load()
    same, _ = load_published_unit(*files, **ASKED)
    features = torch.rand(1, CHANNELS, 65, 65, generator=torch.Generator().manual_seed(0))
    assert isinstance(unit, BottleneckUnit) and table == found.frequencies
    assert torch.equal(unit.encode(features), same.encode(features)) and unit.encode(features).any()
