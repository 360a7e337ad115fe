"""Running a suite: nothing is done twice or lost, and failures stop nothing else."""

import errno
import io
from pathlib import Path

import pytest
from bench_parts import HIGH, LOW, SPIC, FakeRunner, Told, folder_of, make_jobs, no_waiting, run, states, write_result
from rich.console import Console

from sc2_spic_plugin.cli.bench import status as status_file
from sc2_spic_plugin.cli.bench import suite_run
from sc2_spic_plugin.cli.bench import verdict as verdict_file
from sc2_spic_plugin.cli.bench.collect import _put_aside
from sc2_spic_plugin.cli.bench.job import Job
from sc2_spic_plugin.cli.bench.schedule import Schedule, judge_all
from sc2_spic_plugin.cli.bench.show import print_summary
from sc2_spic_plugin.cli.bench.status import Status
from sc2_spic_plugin.cli.bench.suite_run import working_in
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.leaderboard import ResultFile, collect_results

REAL_PLOT = suite_run.plot_rate_accuracy

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]  # a fixture


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


def test_a_suite_that_names_fewer_seeds_says_what_its_results_leave_out_and_loses_nothing(tmp_path: Path) -> None:
    more, fewer = (make_jobs(tmp_path, methods=[{**SPIC, "seeds": seeds}]) for seeds in ([0, 1], [0]))
    assert run(more).unnamed == []
    finished, console = run(fewer), Console(file=io.StringIO(), width=20)
    assert finished.unnamed == [f"{HIGH}-seed1", f"{LOW}-seed1"]
    print_summary(console, finished, tmp_path / "out")
    assert f"does not name them: {HIGH}-seed1, {LOW}-seed1\n" in console.file.getvalue()
    (curve,) = (result for result in run(more, FakeRunner()).results if result.name == "spic_l1-supervised")
    assert {(point.unit, point.seed) for point in curve.points} == {(u, s) for u in ("low", "high") for s in (0, 1)}


def test_table_and_plot_hold_what_another_suite_put_into_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[set[str]] = []
    monkeypatch.setattr(suite_run, "plot_rate_accuracy", lambda results, _path: drawn.append({r.name for r in results}))
    run(make_jobs(tmp_path))
    finished, console = (
        run(make_jobs(tmp_path, codecs={"webp": [5]}, methods=[])),
        Console(file=io.StringIO(), width=20),
    )
    assert finished.others == ["jpeg.json", "spic_l1-supervised.json"]
    assert drawn[-1] == {"original", "label", "jpeg", "webp", "spic_l1-supervised"}
    assert "JPEG" in (table := (tmp_path / "out" / "leaderboard.md").read_text()) and "WebP" in table
    print_summary(console, finished, tmp_path / "out")
    assert "of another suite, in table and plot too: jpeg.json" in console.file.getvalue()


def test_what_is_put_aside_is_that_curves_own_though_another_begins_with_its_name(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    names = ["jpeg.json", "jpeg.q5.csv", "jpeg@2.json", "jpeg@2.q8.csv", "jpeg.444.json", "jpeg.444.q5.csv"]
    for name in names:
        (results / name).write_text("")
    _put_aside(tmp_path, "jpeg")
    assert {path.name for path in results.iterdir()} == set(names[4:])
    assert {path.name for path in (tmp_path / "replaced" / "results-1").iterdir()} == set(names[:4])


def test_results_of_a_curve_whose_points_no_longer_hold_are_put_aside(tmp_path: Path) -> None:
    run(make_jobs(tmp_path))
    changed = make_jobs(tmp_path, methods=[{**SPIC, "values": {"test.test_data_loader.kwargs.batch_size": 3}}])
    finished = run(changed)
    assert set(finished.summary.not_run) == {LOW, HIGH}
    out = tmp_path / "out"
    assert not list((out / "results").glob("spic_l1*")) and "l1" not in (out / "leaderboard.md").read_text()
    assert {path.name for path in (out / "replaced" / "results-1").iterdir()} == {
        "spic_l1-supervised.json", "spic_l1-supervised.low.csv", "spic_l1-supervised.high.csv",
    }  # fmt: skip
    assert {path.name for path in collect_results([out]).skipped} == {"status.json", "job.json"}
    run(make_jobs(tmp_path))
    assert (out / "results" / "spic_l1-supervised.low.csv").is_file()


def test_what_does_not_hold_under_a_new_original_network_is_in_no_table(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)
    (folder_of(jobs, "original") / "checkpoint.pt").write_bytes(b"another")
    finished = run(jobs, FakeRunner({"original": lambda job: write_result(job, network_sha256="cd" * 32)}))
    assert set(finished.summary.not_run) == {job.name for job in jobs} - {"original"}
    assert [result.name for result in finished.results] == ["original"]
    assert [path.name for path in (tmp_path / "out" / "results").glob("*.json")] == ["original.json"]


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


def test_a_curve_that_measures_anothers_checkpoints_comes_after_it_and_is_measured_again_when_they_change(
    tmp_path: Path,
) -> None:
    kept = {**SPIC, "method": "spic_scale_hyperprior", "curve": "kept", "checkpoints_of": "spic_l1-supervised"}
    jobs = make_jobs(tmp_path, methods=[kept, SPIC])
    runner = FakeRunner()
    run(jobs, runner)
    names = [name for name, _ in runner.started]
    assert names.index("kept/low") > names.index(LOW) and names.index("kept/high") > names.index(HIGH)
    assert not (tmp_path / "out/points/kept/low/checkpoint.pt").exists()
    lender = next(job for job in jobs if job.name == LOW)
    (lender.folder / "checkpoint.pt").write_bytes(b"trained again")
    verdicts = judge_all(jobs, Status.load(lender.settings.out, "small"))
    assert verdicts["kept/low"].action == verdicts[LOW].action == "measure"
    assert verdicts["kept/high"].action == "keep"
