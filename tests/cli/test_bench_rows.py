"""Rows that train nothing, measured with the original network: honest about what failed and what it cost."""

import json
import re
from pathlib import Path

import pytest
import typer
from bench_parts import SMALL, SPIC, make_jobs, weights
from typer.testing import CliRunner

from sc2_spic_plugin.cli.bench import bench
from sc2_spic_plugin.cli.bench.row import measure_row
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import CodecPoint, ResultFile, read_per_image_csv
from sc2_spic_plugin.ops import file_digest

__all__ = ["weights"]  # a fixture


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
    assert result.points[0].encode_ms is None, "other jobs may have been running"
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
def test_a_suite_trains_measures_and_times_in_processes_and_then_has_nothing_to_do(
    tmp_path: Path, weights: Path
) -> None:
    point = {"points": {"low": {"train.stage1.num_epochs": 1}}}
    make_jobs(tmp_path, weights, methods=[{**SPIC, **point}], shared=SMALL)
    app = typer.Typer()
    app.command()(bench)
    arguments = [str(tmp_path / "suite.yaml"), "--out", str(tmp_path / "out"), "--network", str(weights)]
    arguments += ["--only", "spic_l1"]
    plan = CliRunner().invoke(app, [*arguments, "--dry-run"], catch_exceptions=False).output
    assert "1 job to run" in plan and "costs of 1 job, one at a time" in plan
    assert not (tmp_path / "out").exists()
    ran = CliRunner().invoke(app, [*arguments, "--jobs", "2"], catch_exceptions=False)
    log = tmp_path / "out" / "log" / "spic_l1-supervised" / "low.log"
    assert ran.exit_code == 0, log.read_text()
    (result,) = ResultFile.load(tmp_path / "out" / "results" / "spic_l1-supervised.json").points
    folder = tmp_path / "out" / "points" / "spic_l1-supervised" / "low"
    assert result.checkpoint_sha256 == file_digest(folder / "checkpoint.pt") and result.unit == "low"
    assert not (folder / "last.pt").exists() and "sc2_spic_plugin.cli.bench.child run" in log.read_text()
    assert result.encode_ms > 0 and result.decode_ms > 0 and result.extra["timing_threads"] == 2
    assert f"sc2_spic_plugin.cli.bench.child costs {folder}" in log.read_text()
    states = json.loads((tmp_path / "out" / "status.json").read_text())
    for part in ("jobs", "costs"):
        status = states[part]["spic_l1-supervised/low"]
        assert status["state"] == "done" and status["seconds"] > 0
    assert re.search(r"1 job done \(\d+ s: spic_l1 100 %\)", ran.output), ran.output
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert again.exit_code == 0 and log.read_text().count("=====") == 2
    anew = CliRunner().invoke(app, [*arguments, "--dry-run", "--redo-costs"], catch_exceptions=False).output
    assert "nothing to run but costs of 1 job, one at a time: about" in anew and "to be timed again" in anew
    with pytest.raises(ConfigError, match="pass one of the two"):
        CliRunner().invoke(app, [*arguments, "--no-costs", "--redo-costs"], catch_exceptions=False)
