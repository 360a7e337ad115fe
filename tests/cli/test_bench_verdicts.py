"""What a job that has something in its folder is judged to need: nothing, measuring, going on, or to be asked first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_parts import HIGH, LOW, SPIC, WEIGHT, FakeRunner, act_on, folder_of, make_jobs, no_waiting, run, write_result

from sc2_spic_plugin.cli.bench import verdict as verdict_file
from sc2_spic_plugin.cli.bench.schedule import judge_all
from sc2_spic_plugin.cli.bench.status import Status

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]  # a fixture


def test_another_config_is_held_back_and_replaced_only_when_told(tmp_path: Path) -> None:
    run(make_jobs(tmp_path))
    before = (tmp_path / "out" / "points" / LOW / "result.json").read_bytes()
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "points": {"low": {WEIGHT: 9.0}, "high": {WEIGHT: 1.0}}}])
    action, reason, runner = act_on(jobs, LOW)
    assert action == "hold" and "weight: 8.0" in reason and "weight: 9.0" in reason and runner.started == []
    assert "--redo-stale" in run(jobs).summary.not_run[LOW]
    assert (folder_of(jobs, LOW) / "result.json").read_bytes() == before
    action, _, runner = act_on(jobs, LOW, redo_stale=True)
    assert action == "redo" and runner.started == [(LOW, "train")]
    assert (tmp_path / "out" / "replaced" / "spic_l1-supervised.low-1" / "result.json").read_bytes() == before
    assert act_on(jobs, LOW)[0] == "keep"


def test_weights_at_another_place_change_no_result(tmp_path: Path) -> None:
    run(make_jobs(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    jobs = make_jobs(tmp_path / "there")
    assert {verdict.action for verdict in judge_all(jobs, Status(tmp_path, "small")).values()} == {"keep"}


def test_other_code_is_kept_and_said_and_redone_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs, FakeRunner({LOW: lambda job: write_result(job, code_version="0.0.1+gold")}))
    assert act_on(jobs, LOW)[:2] == ("keep", "made by other code (0.0.1+gold)")
    action, _, runner = act_on(jobs, LOW, redo_stale=True)
    assert action == "redo" and runner.started == [(LOW, "train")]
    monkeypatch.setattr(verdict_file, "code_version", lambda: "0.2.0")
    assert all("made by other code" in verdict.reason for verdict in judge_all(jobs, Status(tmp_path, "x")).values())


def test_a_deleted_checkpoint_keeps_its_result_and_another_one_is_measured(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    checkpoint = folder_of(jobs, LOW) / "checkpoint.pt"
    checkpoint.write_bytes(b"another")
    action, reason, runner = act_on(jobs, LOW)
    assert action == "measure" and "not the checkpoint that was measured" in reason
    assert runner.started == [(LOW, "measure")]
    assert (tmp_path / "out" / "replaced" / "spic_l1-supervised.low-1" / "result.json").is_file()
    checkpoint.unlink()
    assert act_on(jobs, LOW)[:2] == ("keep", "its checkpoint was deleted, the result is kept")


@pytest.mark.parametrize(
    ("change", "action", "reason"),
    [
        (lambda path: path.write_text("{"), "redo", "cannot be read"),
        (lambda path: path.write_text(path.read_text().replace("80.0", "NaN")), "redo", "NaN|nan"),
        (lambda path: path.write_text(path.read_text().replace("ab" * 32, "cd" * 32)), "hold", "original network"),
        (lambda path: path.write_text(path.read_text().replace('"seed": [0]', '"seed": [1]')), "hold", "another seed"),
        (lambda path: path.write_text(path.read_text().replace("synthetic-64", "else")), "hold", "another protocol"),
        (lambda path: (path.parent / "config.yaml").write_text("x: 1\n"), "hold", "another config than"),
        (lambda path: (path.parent / "config.yaml").unlink(), "hold", "not there any more"),
        (lambda path: (path.parent / "job.yaml").write_text("x: 1\n"), "hold", "another config, first in line 1"),
    ],
)
def test_a_result_that_is_not_the_jobs_is_no_result(
    tmp_path: Path, change: Callable[[Path], Any], action: str, reason: str
) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    change(folder_of(jobs, LOW) / "result.json")
    verdict = judge_all(jobs, Status(tmp_path, "small"))[LOW]
    assert verdict.action == action
    assert any(word in verdict.reason for word in reason.split("|"))


def test_a_training_that_stopped_goes_on_and_one_of_another_config_does_not(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    for job in jobs:
        if job.name in (LOW, HIGH):
            job.prepare()
            (job.folder / "last.pt").write_bytes(b"state")
    (folder_of(jobs, HIGH) / "job.yaml").write_text("train: other\n")
    runner = FakeRunner()
    summary = run(jobs, runner).summary
    assert (LOW, "resume") in runner.started and HIGH in summary.not_run
    assert not (folder_of(jobs, LOW) / "last.pt").exists() and (folder_of(jobs, HIGH) / "last.pt").exists()


def test_a_measurement_that_failed_is_done_again_without_training_again(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    (folder_of(jobs, LOW) / "checkpoint.pt").write_bytes(b"another")
    failed, again = FakeRunner({LOW: lambda _job: "disk full"}), FakeRunner()
    assert LOW in run(jobs, failed).summary.failed and failed.started == [(LOW, "measure")]
    assert LOW in run(jobs, again).summary.done
    assert again.started == [(LOW, "measure")] and (folder_of(jobs, LOW) / "checkpoint.pt").is_file()


@pytest.mark.parametrize("name", [LOW, "jpeg/q5"])
def test_a_result_without_its_table_is_measured_again(tmp_path: Path, name: str) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    (table,) = folder_of(jobs, name).glob("result.*.csv")
    table.unlink()
    action, reason, runner = act_on(jobs, name)
    assert (action, reason) == ("measure", "a per-image table is not there") and runner.started == [(name, "measure")]
    assert table.is_file() and act_on(jobs, name)[0] == "keep"
    if name == LOW:
        table.unlink()
        (folder_of(jobs, name) / "checkpoint.pt").unlink()
        assert (
            act_on(jobs, name)[1] == "its checkpoint was deleted, the result is kept, though without per-image tables"
        )


def test_a_checkpoint_is_measured_unless_its_training_may_have_been_cut_short(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    for job in jobs[-2:]:
        job.prepare()
        (job.folder / "checkpoint.pt").write_bytes(b"x")
    Status(tmp_path / "out", "small").set(HIGH, state="running")
    runner = FakeRunner()
    run(jobs, runner)
    assert {LOW: "measure", HIGH: "train"}.items() <= dict(runner.started).items()
    assert (tmp_path / "out" / "replaced" / "spic_l1-supervised.high-1" / "checkpoint.pt").is_file()
