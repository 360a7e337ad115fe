"""The console command: what it writes, what it refuses, and that an error is one message without a traceback."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml

from sc2_spic_plugin.cli.main import main
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.leaderboard import ResultFile
from sc2_spic_plugin.ops import file_digest

DATA = "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class"
SMALL = {
    DATA: 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 2,
    "train.stage1.num_epochs": 1,
    "train.stage1.train_data_loader.kwargs.batch_size": 12,
    "train.stage1.criterion.kwargs.sub_terms.rate.weight": 0.001,
    "models.model.kwargs.unit.step": 0.25,
}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Runs `sc2-spic` with arguments, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sc2-spic", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def refused(command):
    """Runs a command that must fail with one message; returns it on one line."""

    def run(*arguments: object) -> str:
        outcome = command(*arguments)
        assert outcome.code == 1 and outcome.err.startswith("error: ")
        assert "Traceback" not in outcome.err and outcome.out == ""
        return " ".join(outcome.err.split())

    return run


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke config, made smaller."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(render_config(resolve_config("smoke/spic_unsupervised").read_text(), SMALL))
    return path


@pytest.fixture(scope="module")
def trained(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run."""
    out = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(sys, "argv", ["sc2-spic", "run", str(config), "--out", str(out), "--seed", "3"])
        main()
    assert not stopped.value.code
    return out


def point_of(folder: Path) -> dict:
    document = json.loads((folder / "result.json").read_text())
    return {name: values[0] for name, values in document["results"].items()}


def test_run_writes_result_table_and_checkpoint(trained: Path, config: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {"config.yaml", "checkpoint.pt", "last.pt", "result.json", "result.spic-unsupervised.csv"}
    result = ResultFile.load(trained / "result.json")
    point = result.points[0]
    assert point.seed == 3 and point.checkpoint_sha256 == file_digest(trained / "checkpoint.pt")
    assert result.meta.cut and not result.meta.bypassed and result.meta.samples == 16 and result.meta.bits == "measured"
    assert point.bpp == pytest.approx(point.payload_bytes * 8 / 64**2) and point.payload_bytes == point.code_bytes + 1
    assert 80 < point.harness_kilobytes * 1024 - point.payload_bytes < 130
    with (trained / "result.spic-unsupervised.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    payloads = [float(row["payload_bytes"]) for row in rows]
    assert sum(payloads) / 16 == pytest.approx(point.payload_bytes) and len(set(payloads)) > 1
    assert 100 * sum(row["correct"] in ("1", "True", "true") for row in rows) / 16 == pytest.approx(point.top1)
    assert yaml.safe_load((trained / "result.json").read_text())["meta"]["method"] == "spic_static_table"


def test_a_run_is_regenerated_from_what_it_wrote(trained: Path, command, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert command("run", trained / "config.yaml", "--out", again, "--seed", 3).code == 0
    before, after = point_of(trained), point_of(again)
    same = [name for name in before if name != "config_sha256" and not name.endswith("_ms")]  # times never repeat
    assert "encoder_macs" in same and {name: after[name] for name in same} == {name: before[name] for name in same}


def test_test_only_measures_a_checkpoint_alike(trained: Path, config: Path, command, tmp_path: Path) -> None:
    checkpoint = trained / "checkpoint.pt"
    outcome = command("run", config, "--test-only", "--checkpoint", checkpoint, "--out", tmp_path / "t", "--seed", 3)
    assert outcome.code == 0 and str(tmp_path / "t" / "result.json") in outcome.out
    same = ("top1", "bpp", "payload_bytes", "code_bytes", "harness_kilobytes", "checkpoint_sha256")
    same = (*same, "training_precision")
    assert {name: point_of(tmp_path / "t")[name] for name in same} == {name: point_of(trained)[name] for name in same}


def test_results_are_not_overwritten_unasked(trained: Path, config: Path, refused, command) -> None:
    before = (trained / "result.json").read_bytes()
    assert "exists; choose another --out, or pass --overwrite" in refused("run", config, "--out", trained)
    assert (trained / "result.json").read_bytes() == before


def test_test_only_without_a_checkpoint_says_so(config: Path, refused, tmp_path: Path) -> None:
    assert "no checkpoint at" in refused("run", config, "--test-only", "--out", tmp_path / "t")
    missing = refused("run", config, "--test-only", "--checkpoint", "absent.pt", "--out", tmp_path / "t")
    assert "no checkpoint at absent.pt" in missing


def test_a_checkpoint_of_another_network_is_refused(trained: Path, config: Path, refused, tmp_path: Path) -> None:
    arguments = ("run", config, "--test-only", "--checkpoint", trained / "checkpoint.pt", "--out", tmp_path / "t")
    assert "made for another network" in refused(*arguments, "--seed", 4)  # the smoke network's weights are random
    assert "made for another cut" in refused(*arguments, "--seed", 3, "--set", "models.model.kwargs.cut=layer1")


def test_calibrate_writes_a_checkpoint_with_new_tables(
    trained: Path, config: Path, command, refused, tmp_path: Path
) -> None:
    out = tmp_path / "calibrated.pt"
    arguments = ("calibrate", config, "--checkpoint", trained / "checkpoint.pt", "--out", out, "--seed", 3)
    outcome = command(*arguments)
    assert outcome.code == 0 and "39 images counted" in outcome.out, "all that are not held out, the last batch too"
    before, after = (torch.load(path, weights_only=True)["model"] for path in (trained / "checkpoint.pt", out))
    assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("tables."))
    assert bool(after["tables.unit.calibrated"])
    assert "exists; choose another --out" in refused(*arguments)
    assert {path.name for path in tmp_path.iterdir()} == {"calibrated.pt", "calibrated.pt.config.yaml"}
    assert "only SPIC models are calibrated" in refused(
        "calibrate", "smoke/network", "--checkpoint", trained / "checkpoint.pt", "--out", tmp_path / "other.pt"
    )


def test_an_unknown_config_names_the_nearest(refused, tmp_path: Path) -> None:
    message = refused("run", "smoke/spic_supervize", "--out", tmp_path / "t")
    assert "Did you mean `smoke/spic_supervised.yaml`" in message
    assert not (tmp_path / "t").exists()


WRONG = {
    "path": (["--set", "models.model.kwargs.unti.step=2"], "no `models.model.kwargs.unti` in the config. Did you mean"),
    "key": (["--set", "models.model.kwargs.unit.stp=2"], "unknown key `stp`"),
    "assignment": (["--set", "step"], "--set takes NAME=VALUE"),
    "yaml": (["--set", "result.name=[1, {"], "is no YAML"),
    "cut": (["--set", "models.model.kwargs.cut=layer9"], "has no module `layer9`. Did you mean `layer"),
    "bypassed cut": (["--set", "models.model.kwargs.cut=layer4.0.conv2"], "`layer4.0.conv2` is not a cut"),
    "step": (["--set", "models.model.kwargs.unit.step=0"], "step must be a positive number"),
    "input size": (["--set", "models.model.kwargs.input_size=[64]"], "[channels, height, width], got [64]"),
    "network": (["--set", "models.model.kwargs.network.key=resnet81"], "unknown network `resnet81`. Did you mean"),
    "network argument": (["--set", "models.model.kwargs.network.kwargs.classes=3"], "unexpected keyword argument"),
    "weights": (["--set", "models.model.kwargs.network.src_ckpt=absent.pt"], "no checkpoint at absent.pt"),
    "protocol": (["--protocol", "synthetic-46"], "Did you mean `synthetic-64`"),
    "other protocol": (["--protocol", "imagenet-224"], "reports `ilsvrc2012/val`"),
    "device": (["--device", "gpu"], "the device `gpu` cannot be used"),
    "precision": (["--precision", "fp23"], "unknown precision `fp23`. Did you mean `fp32`"),
    "no training": (["--set", "train={}"], "has no `train`"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_said_in_one_message(fault: str, config: Path, refused, tmp_path: Path) -> None:
    arguments, message = WRONG[fault]
    assert message in refused("run", config, "--out", tmp_path / "t", *arguments)


def test_a_missing_data_set_is_named(refused, tmp_path: Path) -> None:
    message = refused(
        "run", "imagenette/network", "--out", tmp_path / "t", "--set", "datasets.imagenette/train._root=nowhere"
    )
    assert "nowhere" in message and "train" in message


def test_configs_are_listed_copied_checked_and_rendered(command, refused, tmp_path: Path) -> None:
    names = command("configs", "list").out.split()
    assert "smoke/spic_supervised.yaml" in names
    assert command("configs", "copy", "smoke/spic_supervised", tmp_path / "mine.yaml").code == 0
    assert (tmp_path / "mine.yaml").read_text() == resolve_config("smoke/spic_supervised").read_text()
    assert "exists; choose another name" in refused("configs", "copy", "smoke/network", tmp_path / "mine.yaml")
    assert command("configs", "copy", "smoke/network", tmp_path).out.strip() == str(tmp_path / "network.yaml")
    assert command("configs", "check", tmp_path / "mine.yaml", "imagenette/sweep_supervised").out.count(": ok") > 10
    (tmp_path / "mine.yaml").write_text(
        (tmp_path / "mine.yaml").read_text().replace("batch_size: 1\n", "batch_size: 1\n      nmu_workers: 0\n", 1)
        .replace("num_epochs:", "num_epoch:")
    )  # fmt: skip
    outcome = command("configs", "check", tmp_path / "mine.yaml")
    assert outcome.code == 1 and "unknown key `num_epoch`" in outcome.out and "Did you mean `num_epochs`" in outcome.out
    rendered = command("configs", "render", "imagenette/sweep_supervised", tmp_path / "sweep").out.split()
    assert len(rendered) == len(list((tmp_path / "sweep").iterdir())) > 10
    assert command("configs", "render", "imagenette/sweep_supervised", tmp_path / "sweep").out.split() == rendered
    Path(rendered[0]).write_text("mine")
    assert "exists with other content" in refused(
        "configs", "render", "imagenette/sweep_supervised", tmp_path / "sweep"
    )


def test_configs_and_suites_can_be_checked_by_their_listed_names(command) -> None:
    names = [name for name in command("configs", "list").out.split() if name.startswith(("smoke/", "suites/"))]
    outcome = command("configs", "check", *names)
    assert outcome.code == 0 and outcome.out.count(": ok") >= len(names) > 5


def test_results_become_a_table_and_a_plot(trained: Path, command, refused, tmp_path: Path) -> None:
    result = trained / "result.json"
    printed = command("leaderboard", result)
    assert "spic-unsupervised" in printed.out and "| " in printed.out
    assert command("leaderboard", result, "--out", tmp_path / "board").code == 0
    assert (tmp_path / "board" / "leaderboard.md").read_text().strip() in printed.out
    assert command("plot", result, "--out", tmp_path / "plot.png").code == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert "no result file at absent.json" in refused("leaderboard", "absent.json")


def test_the_version_is_printed(command) -> None:
    from sc2_spic_plugin import __version__

    assert command("--version").out.strip() == __version__


@pytest.mark.parametrize(("said", "holds"), [(None, "1"), ("0", "0")])
def test_torch_asks_for_huge_pages_unless_the_user_says_otherwise(said, holds, monkeypatch) -> None:
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", said or "")
    if said is None:
        monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    monkeypatch.setattr("sys.argv", ["sc2-spic", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == holds
