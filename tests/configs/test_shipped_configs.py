"""Every shipped config passes the check and is built, with downloads off and tiny images; sweeps and suites too."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from shipped_parts import (
    CONFIGS,
    SIDE,
    SUITES,
    SWEEPS,
    folder,
    run_test_image,
    segments,
    small_pairs,
    small_text,
    small_values,
    step,
    stub_data_sets,
    text_of,
    without_weights,
)
from torchdistill.common import yaml_util

from sc2_spic_plugin.cli.preparing import about_result, check_protocol
from sc2_spic_plugin.configs import (
    RenderedConfig,
    check_config,
    check_file,
    config_root,
    load_sweep,
    render_config,
)
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.leaderboard import load_protocol
from sc2_spic_plugin.models import CutNetwork, SplitModel, build_network, cut_network
from sc2_spic_plugin.training import spic_classifier, spic_segmenter
from sc2_spic_plugin.training.build import BuiltConfig, build_config, quiet_hosts
from sc2_spic_plugin.training.loading import last_stage

__all__ = ["folder"]  # a fixture

CUTS = {
    False: {"layer4.2", "layer4.0", "layer3.4"},
    True: {"classifier.0", "backbone.layer4.2", "backbone.layer4.1", "backbone.layer3.5"},
}
BYPASSED = "classifier.0.convs.1"
SPIC_SWEEPS = [name for name in SWEEPS if "\n  cut:" in text_of(name)]


@functools.cache
def swept(name: str) -> list[RenderedConfig]:
    return load_sweep(config_root() / name)


@pytest.fixture(autouse=True)
def no_absent_data(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet_hosts()
    stub_data_sets(monkeypatch)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_passes_the_check_is_built_and_runs(name: str, folder: Path, tmp_path: Path) -> None:
    assert check_config(text_of(name)) == []
    path = tmp_path / Path(name).name
    path.write_text(small_text(name, folder))
    built = build_config(path, torch.device("cpu"))
    protocol = load_protocol(about_result(built, path)["protocol"])
    assert built.task == protocol.task and protocol.report in built.datasets
    assert set(built.config["result"]) >= {"name", "method", "dataset"}
    if "train" in built.config:
        assert 0 < step(built) < float("inf")
        assert protocol.selection in built.datasets
        assert last_stage(built)["val_data_loader"]["dataset_id"] == protocol.selection
        assert built.model_config["dst_ckpt"].endswith(".pt")
    else:
        output = run_test_image(built)
        classes = built.datasets[protocol.report].classes
        assert output["out"].shape[:2] == (1, len(classes)) if segments(text_of(name)) else output.shape[0] >= 1


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_prepares_images_as_its_protocol_says(name: str, folder: Path, tmp_path: Path) -> None:
    text = without_weights(text_of(name))
    values = {key: value for key, value in small_values(text, folder).items() if not key.endswith("size")}
    path = tmp_path / "config.yaml"
    path.write_text(render_config(text, values))
    config = yaml_util.load_yaml_file(str(path))
    task = "segmentation" if segments(text) else "classification"
    built = BuiltConfig(path, config, config["datasets"], torch.nn.Identity(), None, torch.device("cpu"), task)
    check_protocol(built, load_protocol(about_result(built, path)["protocol"]))


@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_of_a_sweep_passes_the_check_under_a_name_of_its_own(name: str) -> None:
    points = swept(name)
    assert {point.name: check_config(point.text) for point in points} == {point.name: [] for point in points}
    plain = [load_plain(point.text) for point in points]
    assert [config["result"]["name"] for config in plain] == [point.name for point in points]
    models = [config["models"].get("student_model") or config["models"]["model"] for config in plain]
    if "train" in plain[0]:
        assert [Path(model["dst_ckpt"]).stem for model in models] == [point.name for point in points]


@pytest.mark.parametrize("name", SPIC_SWEEPS)
def test_a_sweep_covers_all_splits_and_its_ablation_and_says_what_is_bypassed(name: str) -> None:
    points = swept(name)
    kwargs = [load_plain(point.text)["models"]["model"]["kwargs"] for point in points]
    if "bypassed" in name:
        assert {each["cut"] for each in kwargs} == {BYPASSED} and all(each["allow_bypass"] for each in kwargs)
        assert all("bypassed" in point.name for point in points)
        return
    assert {each["cut"] for each in kwargs} == CUTS[segments(text_of(str(Path(name).parent / "spic_supervised.yaml")))]
    assert {each["rate_estimator"]["key"] for each in kwargs} >= {"static_table", "l1"}
    assert not any(each.get("allow_bypass") for each in kwargs)


@pytest.fixture(scope="module")
def cuts() -> Callable[..., CutNetwork]:
    """Cuts one ResNet-50 and one DeepLabv3 once at each place, for all the models built from them."""
    networks = {
        False: lambda: build_network({"key": "resnet50", "kwargs": {"num_classes": 10}}),
        True: lambda: build_network({"key": "deeplabv3_resnet50", "kwargs": {"num_classes": 3}}, "segmentation"),
    }
    built = functools.cache(lambda task: networks[task]())

    @functools.cache
    def cached(cut: str, allow_bypass: bool) -> CutNetwork:
        task = cut.startswith(("backbone", "classifier"))
        example = torch.zeros(1, 3, SIDE, SIDE)
        return cut_network(copy.deepcopy(built(task)), cut, example, allow_bypass, ["out"] if task else None)

    return lambda _network, cut, _example, allow_bypass=False, _outputs=None: cached(cut, allow_bypass)


@functools.cache
def different_models() -> dict[tuple[str, ...], tuple[str, dict[str, Any]]]:
    """One point (its sweep and its model's config) of all sweeps for each cut, and for each estimator, of a model."""
    found: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}
    for name in SPIC_SWEEPS:
        for point in swept(name):
            config = load_plain(point.text)["models"]["model"]
            for what in ("cut", "estimator"):
                found.setdefault((config["key"], what, point.values[what]), (name, config))
    return found


def test_every_cut_and_estimator_of_the_sweeps_is_built(
    cuts: Callable[..., CutNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc2_spic_plugin.training.spic_models.build_network", lambda *_arguments: torch.nn.Identity())
    monkeypatch.setattr("sc2_spic_plugin.models.frozen_halves.cut_network", cuts)
    build: dict[str, Callable[..., Any]] = {"spic_classifier": spic_classifier, "spic_segmenter": spic_segmenter}
    assert len(different_models()) >= 12
    for key, (name, config) in different_models().items():
        model = build[key[0]](**{**config["kwargs"], "input_size": [3, SIDE, SIDE]})
        assert isinstance(model, SplitModel) and model.cut == config["kwargs"]["cut"]
        assert model.bypassed == ("bypassed" in name)
        assert model.unit.latent_channels == config["kwargs"]["unit"]["latent_channels"]
        assert model.rate_estimator.measures_bits == (config["kwargs"]["rate_estimator"]["key"] != "l1")


@pytest.mark.parametrize("name", SUITES)
def test_every_point_of_a_suite_passes_the_check(name: str) -> None:
    found = check_file(config_root() / name)
    assert len(found) > 3 and found == {point: [] for point in found}


def test_small_configs_differ_from_the_shipped_ones_in_sizes_and_sources_alone() -> None:
    for name in CONFIGS:
        text = text_of(name)
        if segments(text):
            shipped, small = load_plain(text), load_plain(small_pairs(without_weights(text)))
            assert shipped.keys() == small.keys() and shipped.get("train", {}).keys() == small.get("train", {}).keys()
            assert shipped["result"] == small["result"]
