"""Rows that train nothing, measured with the original network: honest about what failed and what it cost."""

import json
from pathlib import Path

import pytest
import torch
import typer
from bench_parts import SPIC, make_jobs
from typer.testing import CliRunner

from sc2_spic_plugin.cli.bench import bench
from sc2_spic_plugin.cli.bench.row import measure_row
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import CodecPoint, ResultFile, read_per_image_csv
from sc2_spic_plugin.ops import file_digest
from sc2_spic_plugin.training.build import build_config, seed_everything

SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 1,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smoke network, which nobody trained."""
    folder = tmp_path_factory.mktemp("network")
    config = folder / "network.yaml"
    config.write_text(render_config(resolve_config("smoke/network.yaml").read_text(), SMALL))
    seed_everything(0)
    torch.save(build_config(config, torch.device("cpu")).model.state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


def test_a_codec_that_fails_on_an_image_makes_no_point_and_says_on_how_many(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(tmp_path, weights, shared=SMALL)
    original, row = jobs[0], next(job for job in jobs if job.curve == "jpeg")
    original.prepare()
    row.prepare()
    measure_row(row.folder)
    result = ResultFile.load(row.folder / "result.json")
    rows = read_per_image_csv(row.folder / "result.q5.csv")
    assert (result.meta.method, result.meta.samples) == ("jpeg", len(rows))
    assert result.points[0].payload_bytes == pytest.approx(sum(each.payload_bytes for each in rows) / len(rows))
    (row.folder / "result.json").unlink()
    transmit, calls = CodecPoint.transmit, iter(range(len(rows)))

    def fail_twice(self: CodecPoint, image: object) -> object:
        if next(calls) in (2, 5):
            raise DataError("cannot be coded")
        return transmit(self, image)

    monkeypatch.setattr(CodecPoint, "transmit", fail_twice)
    with pytest.raises(DataError, match=rf"`jpeg` q5 failed on 2 of {len(rows)} images.* cannot be coded"):
        measure_row(row.folder)
    assert not (row.folder / "result.json").exists()


@pytest.mark.slow
def test_a_suite_trains_and_measures_in_a_process_and_then_has_nothing_to_do(tmp_path: Path, weights: Path) -> None:
    point = {"points": {"low": {"train.stage1.num_epochs": 1}}}
    make_jobs(tmp_path, weights, methods=[{**SPIC, **point}], shared=SMALL)
    app = typer.Typer()
    app.command()(bench)
    arguments = [str(tmp_path / "suite.yaml"), "--out", str(tmp_path / "out"), "--network", str(weights)]
    arguments += ["--only", "spic_l1"]
    assert "1 job to run" in CliRunner().invoke(app, [*arguments, "--dry-run"], catch_exceptions=False).output
    assert not (tmp_path / "out").exists()
    ran = CliRunner().invoke(app, arguments, catch_exceptions=False)
    log = tmp_path / "out" / "log" / "spic_l1-supervised" / "low.log"
    assert ran.exit_code == 0, log.read_text()
    (result,) = ResultFile.load(tmp_path / "out" / "results" / "spic_l1-supervised.json").points
    folder = tmp_path / "out" / "points" / "spic_l1-supervised" / "low"
    assert result.checkpoint_sha256 == file_digest(folder / "checkpoint.pt") and result.unit == "low"
    assert not (folder / "last.pt").exists() and "sc2_spic_plugin.cli.bench.child run" in log.read_text()
    status = json.loads((tmp_path / "out" / "status.json").read_text())["jobs"]["spic_l1-supervised/low"]
    assert status["state"] == "done" and status["seconds"] > 0
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert again.exit_code == 0 and log.read_text().count("=====") == 1
