"""Laws of `sc2-spic cache` and `--store`: a config trains from features as it would from images, or is told why not."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sc2_spic_plugin.cli.caching import cache_features
from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.cli.running import RunOptions, run_config, train_config
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.configs.stored import reportless_values, store_values
from sc2_spic_plugin.datasets import SyntheticImages
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.layers import BottleneckUnit
from sc2_spic_plugin.training.resume import find_state

BANK = {
    "models.model.kwargs.unit": None,
    "models.model.kwargs.units": {
        "low": {"latent_channels": 8, "stride": 2, "rate_weight": 4.0},
        "high": {"latent_channels": 8, "stride": 1, "step": 0.05, "rate_weight": 0.01},
    },
    "train.stage1.num_epochs": 1,
}


def text_of(config: str) -> str:
    return render_config(resolve_config(config).read_text(), BANK)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "store"
    said = cache_features("smoke/spic_unsupervised.yaml", folder, overrides=BANK)
    parts = json.loads((folder / "store.json").read_text())["parts"].values()
    rows = sum(part["images"] * part["views"] for part in parts)
    assert f"{rows} of them computed now" in said
    return folder


def test_a_whole_store_is_left_as_it_is(store: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}
    assert "0 of them computed now" in cache_features("smoke/spic_unsupervised.yaml", store, overrides=BANK)
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}


def test_a_bank_trained_from_the_store_has_a_row_for_each_unit(store: Path, tmp_path: Path) -> None:
    config = "smoke/spic_unsupervised.yaml"
    values = {**BANK, **store_values(text_of(config), store)}
    result = run_config(config, tmp_path / "run", RunOptions(overrides=values)).save(tmp_path / "run" / "result.json")
    assert {point.unit for point in result.points} == {"low", "high"}
    assert len({point.payload_bytes for point in result.points}) == 2
    assert {path.name for path in (tmp_path / "run").glob("*.csv")} == {"result.low.csv", "result.high.csv"}
    again = run_config(config, tmp_path / "run", RunOptions(overrides=BANK, test_only=True))
    assert [each.point.payload_bytes for each in again.points] == [
        next(point.payload_bytes for point in result.points if point.unit == each.point.unit) for each in again.points
    ]


def test_a_store_of_a_later_cut_is_carried_on_from_it(store: Path, tmp_path: Path) -> None:
    folder, later = tmp_path / "later", {**BANK, "models.model.kwargs.cut": "layer3"}
    arguments = ["cache", "smoke/spic_unsupervised.yaml", "--out", str(folder), "--source", str(store)]
    for key, value in later.items():
        arguments += ["--set", f"{key}={json.dumps(value)}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    description = json.loads((folder / "store.json").read_text())
    assert (description["cut"], description["carried_from"]) == ("layer3", ["layer2"])
    values = {**later, **store_values(text_of("smoke/spic_unsupervised.yaml"), folder)}
    assert train_config("smoke/spic_unsupervised.yaml", tmp_path / "run", RunOptions(overrides=values)).is_file()


def test_training_from_the_store_needs_no_image(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("an image was asked for")

    monkeypatch.setattr(SyntheticImages, "__init__", refuse)
    config = "smoke/spic_unsupervised.yaml"
    values = {**BANK, **store_values(text_of(config), store), **reportless_values(text_of(config), store)}
    checkpoint = train_config(config, tmp_path / "run", RunOptions(overrides=values))
    assert checkpoint == tmp_path / "run" / "checkpoint.pt" and not (tmp_path / "run" / "result.json").exists()
    monkeypatch.undo()
    measured = run_config(config, tmp_path / "run", RunOptions(overrides=BANK, test_only=True, costs=False))
    assert {each.point.unit for each in measured.points} == {"low", "high"}


def test_units_that_are_compiled_make_the_same_checkpoint(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(BottleneckUnit, "compile", lambda unit: compiled.append(unit))  # a C++ compiler is not needed
    config = "smoke/spic_unsupervised.yaml"
    values = {**BANK, **store_values(text_of(config), store)}
    first = train_config(config, tmp_path / "eager", RunOptions(overrides=values))
    assert not compiled
    second = train_config(config, tmp_path / "compiled", RunOptions(overrides=values, compiles=True))
    assert len(compiled) == 2
    one, other = (torch.load(path, weights_only=True)["model"] for path in (first, second))
    assert list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(ConfigError, match="made with another compiled"):
        train_config(config, tmp_path / "compiled", RunOptions(overrides=values, resume=True))


def test_auto_goes_on_in_the_precision_that_the_training_began_in(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = "smoke/spic_unsupervised.yaml", tmp_path / "run"
    values = {**BANK, **store_values(text_of(config), store)}
    train_config(config, out, RunOptions(overrides=values, precision="fp32"))
    monkeypatch.setattr("sc2_spic_plugin.ops.precision.computes_bf16", lambda _: True)  # on another machine
    train_config(config, out, RunOptions(overrides=values, precision="auto", resume=True))
    assert find_state(out).content["facts"]["precision"] == "fp32"
    with pytest.raises(ConfigError, match=r"made with another precision \(fp32, now bf16\)"):
        train_config(config, out, RunOptions(overrides=values, precision="bf16", resume=True))


def test_a_config_that_the_store_does_not_fit_is_refused(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"the config's loss reads labels, which the store .* was built without"):
        store_values(text_of("smoke/spic_supervised.yaml"), store)
    other = render_config(
        text_of("smoke/spic_unsupervised.yaml"),
        {"datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 30},
    )
    with pytest.raises(ConfigError, match=r"samples_per_class` is 30, in the store 24"):
        store_values(other, store)


def test_ten_gigabytes_need_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2_spic_plugin.cli.caching.CONSENT_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"the store would take .*; pass --yes to write it, or fewer --views"):
        cache_features("smoke/spic_unsupervised.yaml", tmp_path / "store", overrides=BANK)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_model_without_a_cut_has_no_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not cut anywhere"):
        cache_features("smoke/network.yaml", tmp_path / "store")


def test_what_tells_how_workers_live_goes_with_the_workers(store: Path) -> None:
    workers = {"batch_size": 4, "num_workers": 2, "persistent_workers": True, "prefetch_factor": 2}
    text = render_config(text_of("smoke/spic_unsupervised.yaml"), {"train.stage1.train_data_loader.kwargs": workers})
    values = store_values(text, store)
    assert values["train.stage1.train_data_loader.kwargs"] == {"batch_size": 4, "num_workers": 0}
