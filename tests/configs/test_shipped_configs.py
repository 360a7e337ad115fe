"""Every shipped config passes the check and is built, with downloads off and tiny images; sweeps and suites too."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sc2_spic_plugin.cli.running import _about, _check_protocol, _last_stage
from sc2_spic_plugin.configs import check_config, check_file, config_root, list_configs, load_sweep, render_config
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.configs.render import is_sweep
from sc2_spic_plugin.leaderboard import load_protocol
from sc2_spic_plugin.models import CutNetwork, build_network, cut_network
from sc2_spic_plugin.training import spic_classifier
from sc2_spic_plugin.training.build import BuiltConfig, build_config, quiet_hosts

NAMES = [name for name in list_configs() if not name.startswith("suites/")]
SWEEPS = [name for name in NAMES if is_sweep(Path(name))]
CONFIGS = [name for name in NAMES if name not in SWEEPS]
SUITES = [name for name in list_configs() if name.startswith("suites/")]
SIDE = 64


def text_of(name: str) -> str:
    return (config_root() / name).read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder with train/CLASS and val/CLASS."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 2)):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 255, (SIDE, SIDE + 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


def small_values(text: str, folder: Path) -> dict[str, Any]:
    """What makes a config small and keeps it from downloading, for as many of these paths as it has."""
    data = next(key for key in ("ilsvrc2012", "imagenette", "synthetic") if f"{key}/train" in text)
    wanted = {
        f"datasets.{data}/train._root": str(folder),
        f"datasets.{data}/train.init.kwargs.transform.init.kwargs.transforms.0.init.kwargs.size": SIDE,
        f"datasets.{data}/held_out.init.kwargs.transform.init.kwargs.transforms.0.init.kwargs.size": SIDE,
        f"datasets.{data}/train.init.kwargs.root.init.kwargs.samples_per_class": 8,
        f"datasets.{data}/val.init.kwargs.samples_per_class": 1,
        "models.model.kwargs.input_size": [3, SIDE, SIDE],
    }
    for network in ("models.model.kwargs.network", "models.teacher_model.kwargs.network", "models.model"):
        wanted |= {f"{network}.kwargs.weights": None, f"{network}.src_ckpt": None}
    for stage in ("stage1", "stage2"):
        for loader in ("train", "val"):
            where = f"train.{stage}.{loader}_data_loader.kwargs"
            wanted |= {f"{where}.batch_size": 4, f"{where}.num_workers": 0}
    plain = load_plain(text)

    def has(path: str) -> bool:
        node: Any = plain
        for key in path.split("."):
            node = node.get(key) if isinstance(node, dict) else node[int(key)] if isinstance(node, list) else None
            if node is None:
                return False
        return True

    return {path: value for path, value in wanted.items() if has(path)}


def step(built: BuiltConfig) -> float:
    """Builds the hosts' box, with every hook and loss of the first stage, and returns the loss of one batch."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.core.training import get_training_box

    rest = (built.datasets, built.config["train"], torch.device("cpu"), None, False, 1)
    box = (
        get_training_box(built.model, *rest)
        if built.teacher is None
        else get_distillation_box(built.teacher, built.model, *rest)
    )
    box.pre_epoch_process(epoch=0)
    images, targets, supplement = next(iter(box.train_data_loader))
    loss = box.forward_process(images, targets, supplement)
    loss.backward()
    box.clean_modules()
    return float(loss.detach())


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_passes_the_check_is_built_and_gives_a_finite_loss(
    name: str, folder: Path, tmp_path: Path
) -> None:
    quiet_hosts()
    text = text_of(name)
    assert check_config(text) == []
    path = tmp_path / Path(name).name
    path.write_text(render_config(text, small_values(text, folder)))
    built = build_config(path, torch.device("cpu"))
    loss = step(built)
    assert 0 < loss < float("inf")
    protocol = load_protocol(_about(built, path)["protocol"])
    protocol.check_dataset_ids(built.datasets)
    assert _last_stage(built)["val_data_loader"]["dataset_id"] == protocol.selection
    assert built.model_config["dst_ckpt"].endswith(".pt") and set(built.config["result"]) >= {"name", "method"}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_prepares_images_as_its_protocol_says(name: str, folder: Path, tmp_path: Path) -> None:
    text = text_of(name)
    sizes = [path for path in small_values(text, folder) if path.endswith((".size", "input_size"))]
    values = {key: value for key, value in small_values(text, folder).items() if key not in sizes}
    path = tmp_path / "config.yaml"
    path.write_text(render_config(text, values))
    from torchdistill.common import yaml_util

    config = yaml_util.load_yaml_file(str(path))
    built = BuiltConfig(path, config, config["datasets"], torch.nn.Identity(), None, torch.device("cpu"))
    _check_protocol(built, load_protocol(_about(built, path)["protocol"]))


@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_of_a_sweep_passes_the_check_under_a_name_of_its_own(name: str) -> None:
    points = load_sweep(config_root() / name)
    assert {point.name: check_config(point.text) for point in points} == {point.name: [] for point in points}
    assert {point.values["cut"] for point in points} == {"layer4.2", "layer4.0", "layer3.4"}
    assert {point.values["estimator"] for point in points} >= {"static_table", "l1"}
    checkpoints = [load_plain(point.text)["models"]["model"]["dst_ckpt"] for point in points]
    assert [Path(checkpoint).stem for checkpoint in checkpoints] == [point.name for point in points]


@pytest.fixture(scope="module")
def cuts() -> Callable[..., CutNetwork]:
    """Cuts one ResNet-50 once at each place, for all the models built from it."""
    network = build_network({"key": "resnet50", "kwargs": {"num_classes": 10}})
    cached = functools.cache(lambda cut: cut_network(copy.deepcopy(network), cut, torch.zeros(1, 3, SIDE, SIDE)))
    return lambda _network, cut, _example: cached(cut)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_cut_and_estimator_of_a_sweep_is_built(
    name: str, cuts: Callable[..., CutNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc2_spic_plugin.training.student.build_network", lambda _config: torch.nn.Identity())
    monkeypatch.setattr("sc2_spic_plugin.models.split_model.cut_network", cuts)
    points = {(point.values["cut"], point.values["estimator"]): point for point in load_sweep(config_root() / name)}
    assert len(points) >= 6
    for (cut, estimator), point in points.items():
        kwargs = load_plain(point.text)["models"]["model"]["kwargs"]
        model = spic_classifier(**{**kwargs, "input_size": [3, SIDE, SIDE]})
        assert model.cut == cut and model.unit.latent_channels == point.values["channels"]
        assert model.rate_estimator.measures_bits == (estimator != "l1")


@pytest.mark.parametrize("name", SUITES)
def test_every_point_of_a_suite_passes_the_check(name: str) -> None:
    found = check_file(config_root() / name)
    assert len(found) > 3 and found == {point: [] for point in found}
