"""Running a suite: nothing is done twice or lost, failures stop nothing else, results are whole."""

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_parts import SPIC, WEIGHT, FakeRunner, Told, make_jobs, no_waiting, run, write_result

from sc2_spic_plugin.cli.bench import status as status_file
from sc2_spic_plugin.cli.bench import suite_run
from sc2_spic_plugin.cli.bench import verdict as verdict_file
from sc2_spic_plugin.cli.bench.job import Job
from sc2_spic_plugin.cli.bench.schedule import Schedule, judge_all
from sc2_spic_plugin.cli.bench.status import Status
from sc2_spic_plugin.cli.bench.suite_run import working_in
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.leaderboard import ResultFile, read_per_image_csv
from sc2_spic_plugin.leaderboard.collect import Source
from sc2_spic_plugin.leaderboard.curve import build_curves

REAL_PLOT = suite_run.plot_rate_accuracy
LOW, HIGH = "spic_l1-supervised/low", "spic_l1-supervised/high"


pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]  # a fixture


def states(out: Path) -> dict[str, str]:
    return {name: job["state"] for name, job in json.loads((out / "status.json").read_text())["jobs"].items()}


def folder_of(jobs: list[Job], name: str) -> Path:
    return next(job.folder for job in jobs if job.name == name)


def act_on(jobs: list[Job], name: str, **options: Any) -> tuple[str, str, FakeRunner]:
    """Runs the jobs and returns what was done with one of them, and why."""
    judged = judge_all(jobs, Status.load(jobs[0].settings.out, "small"), **options)[name]
    runner = FakeRunner()
    run(jobs, runner, **options)
    return judged.action, judged.reason, runner


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_run, "plot_rate_accuracy", REAL_PLOT)
    jobs = make_jobs(tmp_path)
    first, second, told = FakeRunner(), FakeRunner(), Told()
    assert run(jobs, first).summary.done == [name for name, _ in first.started] == [job.name for job in jobs]
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "results").iterdir()}
    again = run(jobs, second, told)
    assert second.started == [] and again.summary.done == [job.name for job in jobs] and not again.problems
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "results").iterdir()} == before
    assert {result.name for result in again.results} == {"original", "label", "jpeg", "spic_l1-supervised"}
    assert (tmp_path / "out" / "leaderboard.md").is_file() and (tmp_path / "out" / "rate_accuracy.png").is_file()


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


def test_a_point_that_fails_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    finished = run(jobs, FakeRunner({LOW: lambda _job: "no data", "jpeg/q5": lambda _job: None}))
    assert finished.summary.failed[LOW] == "no data" and HIGH in finished.summary.done
    assert "ended without a result" in finished.summary.failed["jpeg/q5"]
    assert states(tmp_path / "out")[LOW] == "failed"
    results = {result.name: [point.unit for point in result.points] for result in finished.results}
    assert results["spic_l1-supervised"] == ["high"] and "jpeg" not in results
    runner = FakeRunner()
    assert not run(jobs, runner).summary.failed
    assert [name for name, _ in runner.started] == ["jpeg/q5", LOW]


def test_without_the_network_nothing_that_needs_it_is_run(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    runner = FakeRunner({"original": lambda _job: "no images"})
    summary = run(jobs, runner).summary
    assert runner.started == [("original", "train")] and set(summary.not_run) == {job.name for job in jobs[1:]}
    assert summary.not_run[LOW] == "it needs `original`, which has no result"
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"")
    given = make_jobs(tmp_path / "given", weights)
    summary = run(given, FakeRunner({"original": lambda _job: "no images"})).summary
    assert summary.done == [LOW, HIGH] and set(summary.not_run) == {"label/row", "jpeg/q5"}


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_so_many_jobs_run_at_a_time_and_the_network_alone_before_them(tmp_path: Path, at_a_time: int) -> None:
    jobs = make_jobs(tmp_path)
    runner, out = FakeRunner(polls=3), tmp_path / "out"
    starts: list[int] = []
    schedule = Schedule(
        jobs, runner, Status(out, "small"), Told(), at_a_time=at_a_time, sleep=lambda _: starts.append(runner.running)
    )
    assert len(schedule.run().done) == len(jobs)
    assert runner.most == at_a_time and starts[:2] == [1, 1]
    assert [name for name, _ in runner.started] == [job.name for job in jobs]


def test_an_interrupt_ends_every_process_and_loses_no_result(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    runner, clock = FakeRunner(), iter(range(0, 10**6, 10))
    runner.endless = {LOW, HIGH}

    def sleep(_seconds: float) -> None:
        if runner.running == 2 and [handle.job.name for handle in runner.handles][-2:] == [LOW, HIGH]:
            raise KeyboardInterrupt

    status = Status(tmp_path / "out", "small")
    schedule = Schedule(jobs, runner, status, Told(), at_a_time=2, clock=lambda: float(next(clock)), sleep=sleep)
    with pytest.raises(KeyboardInterrupt):
        schedule.run()
    assert [handle.job.name for handle in runner.handles if handle.stopped] == [LOW, HIGH]
    assert {name for name, state in states(tmp_path / "out").items() if state == "interrupted"} == {LOW, HIGH}
    assert status.of(LOW).seconds > 0 and schedule.summary.done == ["original", "label/row", "jpeg/q5"]
    again = FakeRunner()
    assert not run(jobs, again).summary.failed
    assert [name for name, _ in again.started] == [LOW, HIGH]


def test_a_stop_writes_the_results_of_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    (folder_of(jobs, HIGH) / "result.json").unlink()

    def stop(_job: Job) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(jobs, FakeRunner({HIGH: stop}))
    assert [point.unit for point in ResultFile.load(tmp_path / "out/results/spic_l1-supervised.json").points] == ["low"]


def test_a_duration_counts_the_runs_that_were_gone_on_with(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    jobs[-1].prepare()
    (jobs[-1].folder / "last.pt").write_bytes(b"state")
    status = Status(tmp_path / "out", "small")
    status.set(HIGH, state="interrupted", seconds=100.0)
    status.set(LOW, state="failed", seconds=50.0)
    clock = iter(range(0, 10**6))
    Schedule(jobs, FakeRunner(), status, Told(), clock=lambda: float(next(clock)), sleep=lambda _: None).run()
    assert status.of(HIGH).seconds > 100 and status.of(LOW).seconds < 50
    assert Status.load(tmp_path / "out", "small").of(HIGH) == status.of(HIGH)


def test_a_damaged_status_costs_durations_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    (tmp_path / "out" / "status.json").write_text("{")
    runner = FakeRunner()
    assert len(run(jobs, runner).summary.done) == len(jobs) and runner.started == []
    assert "durations of earlier runs are forgotten" in capsys.readouterr().err


def test_a_full_disk_costs_what_could_not_be_written_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    prepare = Job.prepare
    monkeypatch.setattr(Job, "prepare", lambda job: full() if job.name == LOW else prepare(job))
    monkeypatch.setattr(status_file, "write_atomic", full)
    summary = run(make_jobs(tmp_path), FakeRunner({"jpeg/q5": lambda _job: "No space left on device"})).summary
    assert summary.done == ["original", "label/row", HIGH]
    assert set(summary.failed) == {LOW, "jpeg/q5"} and all("No space left" in each for each in summary.failed.values())
    assert capsys.readouterr().err.count("status.json cannot be written") == 1
    monkeypatch.undo()
    again = FakeRunner()
    assert not run(make_jobs(tmp_path), again).summary.failed
    assert [name for name, _ in again.started] == ["jpeg/q5", LOW]


def test_points_of_all_seeds_make_one_file_with_a_table_each(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "seeds": [0, 1]}])
    run(jobs)
    results = tmp_path / "out" / "results"
    points = ResultFile.load(results / "spic_l1-supervised.json").points
    assert sorted((point.unit, point.seed) for point in points) == [("high", 0), ("high", 1), ("low", 0), ("low", 1)]
    for unit in ("low", "high"):
        for seed in (0, 1):
            assert read_per_image_csv(results / f"spic_l1-supervised.{unit}.seed{seed}.csv")[0].image == "a"
    assert not (results / "spic_l1-supervised.low.csv").exists()


def test_a_bank_adds_a_point_for_each_unit(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "points": None}])
    name = "spic_l1-supervised/all"
    run(jobs, FakeRunner({name: lambda job: write_result(job, units=["u0", "u1", "u2"])}))
    path = tmp_path / "out" / "results" / "spic_l1-supervised.json"
    assert [point.unit for point in ResultFile.load(path).points] == ["u0", "u1", "u2"]
    assert (path.parent / "spic_l1-supervised.u2.csv").is_file()


def test_each_file_has_one_provenance_and_all_are_one_curve(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs, FakeRunner({HIGH: lambda job: write_result(job, code_version="0.0.1+gold")}))
    results = tmp_path / "out" / "results"
    paths = [results / "spic_l1-supervised.json", results / "spic_l1-supervised@2.json"]
    files = [ResultFile.load(path) for path in paths]
    assert [file.meta.code_version == "0.0.1+gold" for file in files] == [False, True]
    assert [[point.unit for point in file.points] for file in files] == [["low"], ["high"]]
    assert (results / "spic_l1-supervised@2.high.csv").is_file()
    (curve,) = build_curves([Source(file, path) for file, path in zip(files, paths, strict=True)])
    assert {point.unit for point in curve.points} == {"low", "high"}
    run(jobs, redo_stale=True)
    assert not list(results.glob("*@2*")) and len(ResultFile.load(paths[0]).points) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": ["low"]}, "two jobs of `spic_l1-supervised` have a point `low`"),
        ({"cut": "layer3"}, r"has cut 'layer3', other points .* have 'layer2'"),
        ({"method": "spic_static_table"}, "has method 'spic_static_table'"),
    ],
)
def test_points_that_contradict_each_other_make_no_file_and_are_said(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    jobs = make_jobs(tmp_path)
    finished = run(jobs, FakeRunner({HIGH: lambda job: write_result(job, **wrong)}))
    assert re.search(message, finished.problems["spic_l1-supervised"])
    assert {result.name for result in finished.results} == {"original", "label", "jpeg"}
    assert not finished.summary.failed


def test_a_second_suite_is_kept_out_of_the_folder(tmp_path: Path) -> None:
    with (
        working_in(tmp_path),
        pytest.raises(ConfigError, match="another `sc2-spic bench` is at work"),
        working_in(tmp_path),
    ):
        pass
    with working_in(tmp_path):
        pass


def test_a_store_is_built_once_before_all_that_train_from_it_and_only_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: set[Path] = set()
    monkeypatch.setattr(verdict_file, "_is_whole", lambda job: job.store in built)
    again = {**SPIC, "curve": "again"}
    stored = {"stores": {"s": {"views": 3}}, "methods": [{**SPIC, "store": "s"}, {**again, "store": "s"}], "codecs": {}}
    jobs = make_jobs(tmp_path, **stored)
    runner = FakeRunner({"store/s": lambda job: built.add(job.store)})
    assert not run(jobs, runner).summary.failed
    names = [name for name, _ in runner.started]
    assert names == ["original", "label/row", "store/s", LOW, HIGH, "again/low", "again/high"]
    assert jobs[2].arguments("train")[-2:] == ["--views", "3"] and jobs[2].arguments("train")[0] == "cache"
    store = ["--store", str(tmp_path / "out" / "stores" / "s")]
    assert jobs[3].arguments("train")[-2:] == store and jobs[3].arguments("resume")[-3:] == [*store, "--resume"]
    assert not (tmp_path / "out" / "results" / "store").exists()
    built.clear()  # deleted to save room
    idle = FakeRunner()
    assert not run(jobs, idle).summary.failed and idle.started == []
    without = make_jobs(tmp_path, methods=[SPIC, again], codecs={})
    assert judge_all(without, Status(tmp_path / "out", "small"))[LOW].action == "hold"
    failed = run(make_jobs(tmp_path / "b", **stored), FakeRunner({"store/s": lambda _job: "disk full"})).summary
    assert set(failed.failed) == {"store/s"} and len(failed.not_run) == 4
