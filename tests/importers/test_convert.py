"""Released units become checkpoints and configs: what is written, loaded, measured, refused."""

import os
import re
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from seeded_units import seeded_network, write_release
from torchdistill.common.main_util import load_ckpt
from typer.testing import CliRunner

from sc2_spic_plugin.cli.importing import ImportOptions, summary_table, units_to_import
from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.coding import PublishedTable
from sc2_spic_plugin.configs import check_config, render_config
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.errors import CheckpointError, ConfigError, SpicError
from sc2_spic_plugin.importers import PublishedUnit, find_published_units
from sc2_spic_plugin.importers.convert import ConvertedUnit, convert_published_units
from sc2_spic_plugin.importers.network_weights import network_config, networks_by_task
from sc2_spic_plugin.layers import published_geometry
from sc2_spic_plugin.leaderboard import load_protocol
from sc2_spic_plugin.models.arguments import checked_unit
from sc2_spic_plugin.training import SpicModel, spic_classifier, spic_segmenter

COUNTS = {0: 5000, 1: 900, 2: 300, 3: 90, 5: 9}
RELEASE = {
    "classification/S3/0": {"step": 0.75, "stride": 2, "latent_channels": 8, "seed": 1, "counts": COUNTS},
    "classification/US1/2": {"step": 0.5, "stride": 4, "latent_channels": 6, "seed": 2, "counts": COUNTS},
    "segmentation/S1/1": {"step": 0.5, "stride": 8, "latent_channels": 4, "seed": 3, "counts": COUNTS},
}
NAMES = ["classification/S3/0", "segmentation/S1/1"]
BUILD = {"classification": spic_classifier, "segmentation": spic_segmenter}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("release"), RELEASE)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of both original networks."""
    folder = tmp_path_factory.mktemp("networks")
    for task in BUILD:
        torch.save(seeded_network(task).state_dict(), folder / f"{task}.pt")
    return {task: folder / f"{task}.pt" for task in BUILD}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images in one class folder."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    (root / "cat").mkdir()
    for index in range(3):
        pixels = np.kron(rng.integers(0, 255, (15, 20, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
        Image.fromarray(pixels).save(root / "cat" / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def imported(release: Path, networks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sc2-spic import` makes of the release."""
    out = tmp_path_factory.mktemp("imported")
    result = command(release, out, *(f"--network={path}" for path in networks.values()), unit=NAMES)
    assert result.exit_code == 0, result.output
    assert "2 units imported" in result.stdout and "classifier.0.convs.1 (bypassed)" in result.stdout
    return out


def command(source: Path, out: Path, *options: str, unit: list[str] | None = None) -> Any:
    chosen = [f"--unit={name}" for name in unit or []]
    return CliRunner().invoke(app, ["import", str(source), "--out", str(out), *chosen, *options])


def unit_of(release: Path, name: str) -> PublishedUnit:
    return find_published_units(release).named(name)


def model_of(folder: Path) -> SpicModel:
    """The model that a config builds, with the checkpoint it names loaded by the host."""
    plain = load_plain((folder / "config.yaml").read_text())["models"]["model"]
    kwargs = {**plain["kwargs"], "analysis_config": {}}
    model = BUILD[folder.parts[-3]](**kwargs)
    load_ckpt(plain["dst_ckpt"], model=model, strict=True)
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_an_imported_unit_loads_in_the_model_of_its_config_and_codes_with_the_released_table(
    name: str, imported: Path, release: Path
) -> None:
    folder, unit = imported / name, unit_of(release, name)
    model = model_of(folder)
    assert (model.cut, model.bypassed) == (unit.cut, unit.point.bypassed)
    released, counts = unit.load()
    assert {key: value.tolist() for key, value in model.unit.state_dict().items()} == {
        key: value.tolist() for key, value in released.state_dict().items()
    }
    model.update()
    assert PublishedTable.load(folder / "published_table.json").counts == counts == COUNTS
    image = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 3, 129, 129)).astype(np.float32))
    encoded = model.encode_batch(image)
    features, crossing = model._split_front(image)
    symbols = released.encode(features)
    coder = PublishedTable(unit.step, counts)._coder(unit.latent_channels)
    assert encoded.payloads[0].endswith(coder.encode(symbols[0])) and encoded.columns is not None
    assert encoded.columns[0]["same_table_bytes"] == encoded.code_bytes[0]
    assert encoded.columns[0]["escapes"] == int(sum((symbols == value).sum() for value in symbols.unique()
                                                    if int(value) not in COUNTS))  # fmt: skip
    expected = model.back_end(released.decode(symbols, features.shape[-2:]), *crossing)
    output = model(image)
    for key in output if isinstance(output, dict) else [slice(None)]:
        torch.testing.assert_close(output[key], expected[key])


@pytest.mark.parametrize("name", NAMES)
def test_a_config_passes_the_check_trains_nothing_and_says_what_it_is(name: str, imported: Path) -> None:
    text = (imported / name / "config.yaml").read_text()
    assert check_config(text) == []
    config, (task, split, index) = load_plain(text), name.split("/")
    result = config["result"]
    assert "train" not in config and result["method"] == "spic_published"
    assert (result["unit"], result["name"]) == (f"{split}-{index}", f"published-{task}-{split}-{index}")
    assert bool(config["models"]["model"]["kwargs"].get("allow_bypass")) == (task == "segmentation")
    protocol = load_protocol(result["protocol"])
    assert config["test"]["test_data_loader"]["dataset_id"] == protocol.report and protocol.task == task
    moved = load_plain(render_config(text, {"_folder": "/elsewhere"}))["models"]["model"]
    assert moved["dst_ckpt"] == "/elsewhere/checkpoint.pt"
    assert moved["kwargs"]["published_table"] == "/elsewhere/published_table.json"


def test_outputs_are_never_replaced_silently(imported: Path, release: Path, networks: dict[str, Path]) -> None:
    unit = unit_of(release, NAMES[0])
    before = {path: path.read_bytes() for path in sorted(imported.rglob("*")) if path.is_file()}
    assert len(before) == 6
    with pytest.raises(ConfigError, match=r"S3/0 holds an imported unit; choose another --out, or pass --overwrite"):
        list(convert_published_units([unit], imported, lambda task, values: "", networks))
    assert before == {path: path.read_bytes() for path in sorted(imported.rglob("*")) if path.is_file()}


def test_tables_are_counted_on_a_folder_of_images_if_one_is_given(
    release: Path, networks: dict[str, Path], images: Path, imported: Path, tmp_path: Path
) -> None:
    shutil.copytree(imported / NAMES[0], tmp_path / NAMES[0])
    options = [f"--network={networks['classification']}", f"--calibrate={images}", "--overwrite"]
    result = command(release, tmp_path, *options, unit=NAMES[:1])
    assert result.exit_code == 0 and "counted on 3 images" in result.stdout, result.output
    counted, shared = (
        torch.load(root / NAMES[0] / "checkpoint.pt", weights_only=True)["model"] for root in (tmp_path, imported)
    )
    assert len(counted["tables.unit.assignment"].unique()) > 1 and not shared["tables.unit.assignment"].any()
    changed = {key for key in counted if not torch.equal(counted[key], shared[key])}
    assert changed and all(key.startswith("tables.unit.") for key in changed)
    assert bool(counted["tables.unit.calibrated"]) and bool(shared["tables.unit.calibrated"])


def test_one_checkpoint_is_taken_with_its_table_and_numbers(release: Path, tmp_path: Path) -> None:
    unit = unit_of(release, "classification/US1/2")
    numbers = {"task": unit.task, "split": unit.split, "step": unit.step, "stride": unit.stride, "table": unit.table}
    with pytest.raises(ConfigError, match=r"is one checkpoint; give --latent-channels of its unit too"):
        units_to_import(ImportOptions(unit.weights, (), numbers))
    (single,) = units_to_import(ImportOptions(unit.weights, (), {**numbers, "latent_channels": 6}))
    assert (single.name, single.frequencies) == ("classification/US1/0", COUNTS)
    with pytest.raises(ConfigError, match=r"--task, --split, .* go with one checkpoint"):
        units_to_import(ImportOptions(release, (), numbers))
    options = [f"--{key}={value}" for key, value in numbers.items()]
    result = command(unit.weights, tmp_path / "out", *options, "--latent-channels=6", "--check")
    assert result.exit_code == 0 and "classification/US1/0" in result.stdout and not (tmp_path / "out").exists()


def test_check_prints_a_row_for_each_unit_and_writes_nothing(release: Path, tmp_path: Path) -> None:
    result = command(release, tmp_path / "out", "--check")
    assert result.exit_code == 0 and not (tmp_path / "out").exists()
    for name in RELEASE:
        assert name in result.stdout
    assert "bypassed split" in result.stdout and "returns 15x15" in result.stdout
    few = command(release, tmp_path / "out", "--check", unit=["classification/US1"])
    assert "classification/US1/2" in few.stdout and "S3/0" not in few.stdout
    result = command(release, tmp_path / "out", "--check", unit=["classification/S3/9"])
    assert isinstance(result.exception, SpicError) and "classification/S3/0" in str(result.exception)


def test_units_whose_files_are_missing_are_named_as_skipped(tmp_path: Path) -> None:
    part = write_release(tmp_path, {name: RELEASE[name] for name in NAMES})
    next((part / "Segmentation").rglob("*.pickle")).unlink()
    units = units_to_import(ImportOptions(part))
    assert [unit.name for unit in units] == NAMES[:1] and [skipped.name for skipped in units.skipped] == NAMES[1:]
    printed = Console(record=True, width=120)
    printed.print(summary_table([ConvertedUnit(units[0], tmp_path)], units.skipped, tmp_path / "out"))
    text = " ".join(printed.export_text().split())  # the title is as wide as the table
    assert "1 units imported" in text and "1 skipped" in text and "skipped: freq1.pickle missing" in text


def test_without_weights_the_error_says_to_pass_a_network(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models.resnet._resnet", fail)
    with pytest.raises(
        CheckpointError, match=r"resnet50 cannot be had (?s:.*)no route to host(?s:.*)pass --network FILE"
    ):
        list(convert_published_units([unit_of(release, NAMES[0])], tmp_path, lambda task, values: ""))
    assert not list(tmp_path.iterdir())


def test_a_network_file_belongs_to_the_task_its_tensors_say(networks: dict[str, Path], tmp_path: Path) -> None:
    assert networks_by_task(networks.values()) == networks
    with pytest.raises(ConfigError, match="both hold a network for classification"):
        networks_by_task([networks["classification"]] * 2)
    torch.save({"head.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no weights of resnet50 or deeplabv3_resnet50"):
        networks_by_task([tmp_path / "other.pt"])
    with pytest.raises(CheckpointError, match=r"holds no `fc.weight`, so no resnet50"):
        network_config("classification", networks["segmentation"])
    torch.save({"fc.weight": torch.zeros(10, 2048)}, tmp_path / "ten.pt")
    assert network_config("classification", tmp_path / "ten.pt")["kwargs"]["num_classes"] == 10


def test_a_config_names_the_released_geometry_and_the_stride_completes_it() -> None:
    published = {"published": {"task": "classification", "split": "S3"}}
    for stride in (2, 4, 6):
        unit = checked_unit("unit", {"latent_channels": 4, "stride": stride, "geometry": published})
        assert unit["geometry"] == published_geometry("classification", "S3", stride)
        assert checked_unit("unit", unit) == unit
    assert checked_unit("unit", {"latent_channels": 4, "geometry": None})["geometry"] is None


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"publshed": {}}, r"unknown key `publshed` for `geometry` of unit `unit`. Did you mean `published`"),
        ({"published": {"task": "classification", "spilt": "S1"}}, r"unknown key `spilt`.*Did you mean `split`"),
        ({"published": {"task": "clasification", "split": "S1"}}, r"Did you mean `classification`"),
        ({"published": {"task": "segmentation", "split": "S4"}}, r"`split` of the published .* is 'S4'"),
        ({"published": {"task": "segmentation", "split": "S1"}}, r"needs the unit's `stride` beside it"),
        ({}, "give `published`, or leave it out"),
        ("published", "must be a mapping"),
    ],
)
def test_geometries_that_name_no_released_unit_are_refused(geometry: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_unit("unit", {"latent_channels": 4, "geometry": geometry})


def runnable(imported: Path, images: Path, target: Path) -> Path:
    values = {
        "datasets.ilsvrc2012/val.init.kwargs.root": str(images),
        "test.test_data_loader.kwargs.num_workers": 0,
    }
    target.write_text(render_config((imported / NAMES[0] / "config.yaml").read_text(), values))
    return target


def test_an_imported_unit_is_measured_without_training(imported: Path, images: Path, tmp_path: Path) -> None:
    config = runnable(imported, images, tmp_path / "config.yaml")
    point = run_config(config, tmp_path / "out", RunOptions(test_only=True)).point
    assert point.unit == "S3-0" and point.payload_bytes == pytest.approx(point.code_bytes + 1)
    assert point.extra["same_table_bytes"] == pytest.approx(point.code_bytes)


def test_sc2benchs_own_script_and_ours_measure_an_imported_unit_alike(
    imported: Path, images: Path, tmp_path: Path
) -> None:
    folder = os.environ.get("SC2BENCH_REPO")
    script = Path(folder or "") / "script" / "task" / "image_classification.py"
    if not folder or not script.is_file():
        pytest.skip("set SC2BENCH_REPO to a checkout of sc2bench to run its own script")
    config = runnable(imported, images, tmp_path / "config.yaml")
    arguments = [sys.executable, str(script), "--config", str(config), "--device", "cpu", "-test_only"]
    run = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    log = run.stdout + run.stderr
    assert run.returncode == 0, log[-3000:]
    point = run_config(config, tmp_path / "out", RunOptions(test_only=True)).point
    for pattern, value in (
        (r"\* Acc@1 ([\d.]+)", point.top1),
        (r"payload_bytes: mean ([\d.]+)", point.payload_bytes),
        (r"Bottleneck size \[KB\]: mean ([\d.]+)", point.harness_kilobytes),
    ):
        assert value == pytest.approx(float(re.findall(pattern, log)[-1]), abs=1e-3)
