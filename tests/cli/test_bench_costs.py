"""Timing a suite's points: after all jobs, one at a time, nothing twice, nothing lost, failures stop nothing else."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_parts import (
    HIGH,
    LOW,
    SPIC,
    FakeRunner,
    folder_of,
    make_jobs,
    make_suite,
    no_waiting,
    run,
    run_timed,
    write_costs,
    write_result,
)
from rich.console import Console

from sc2_spic_plugin.cli.bench.cost_columns import COST_FIELDS
from sc2_spic_plugin.cli.bench.cost_phase import CostPhase, planned_costs
from sc2_spic_plugin.cli.bench.cost_rules import ASKED, untimed_points, why_costs
from sc2_spic_plugin.cli.bench.estimate import Estimates
from sc2_spic_plugin.cli.bench.job import COSTS, Job
from sc2_spic_plugin.cli.bench.lines import Lines
from sc2_spic_plugin.cli.bench.schedule import judge_all
from sc2_spic_plugin.cli.bench.show import plan_table, plan_total, print_summary
from sc2_spic_plugin.cli.bench.status import DONE, Status
from sc2_spic_plugin.cli.bench.suite_run import run_suite
from sc2_spic_plugin.leaderboard import Point, ResultFile, load_protocol

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]  # a fixture

NAMES = ["original", "label/row", "jpeg/q5", LOW, HIGH]


def timed(runner: FakeRunner) -> list[str]:
    return [name for name, mode in runner.started if mode == COSTS]


def points(out: Path) -> list[Point]:
    return [point for path in sorted((out / "results").glob("*.json")) for point in ResultFile.load(path).points]


def has_costs(point: Point) -> bool:
    return all(getattr(point, name) is not None for name in COST_FIELDS)


def costs_states(out: Path) -> dict[str, str]:
    return {name: each["state"] for name, each in json.loads((out / "status.json").read_text())["costs"].items()}


def test_points_are_timed_one_at_a_time_after_all_jobs_have_ended(tmp_path: Path) -> None:
    jobs, beside = make_jobs(tmp_path), []

    def note(job: Job) -> None:
        beside.append(runner.running)  # itself is counted off when it has ended
        write_costs(job)

    runner = FakeRunner(polls=3, times=dict.fromkeys(NAMES, note))
    finished = run_timed(jobs, runner, at_a_time=3)
    modes = [mode for _, mode in runner.started]
    assert modes == ["train"] * 5 + [COSTS] * 5 and timed(runner) == NAMES and beside == [0] * 5
    assert runner.most == 3 and finished.costs is not None and finished.costs.done == NAMES
    assert len(points(tmp_path / "out")) == 5 and all(map(has_costs, points(tmp_path / "out")))
    assert set(costs_states(tmp_path / "out").values()) == {"done"}


def test_without_the_phase_nothing_is_timed(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert run(make_jobs(tmp_path), runner).costs is None
    assert timed(runner) == [] and not any(map(has_costs, points(tmp_path / "out")))


def test_a_point_that_has_its_costs_is_not_timed_again(tmp_path: Path) -> None:
    jobs, second = make_jobs(tmp_path), FakeRunner()
    run(jobs)
    assert timed_by(jobs) == NAMES
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "points").rglob("result*")}
    finished = run_timed(jobs, second)
    assert second.started == [] and finished.costs is not None and finished.costs.done == []
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "points").rglob("result*")} == before


def timed_by(jobs: list[Job], **options: Any) -> list[str]:
    runner = FakeRunner()
    run_timed(jobs, runner, **options)
    return timed(runner)


def test_a_point_that_cannot_be_timed_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    runner = FakeRunner({"label/row": lambda _job: "no"}, times={LOW: lambda _job: "no room", HIGH: lambda _job: None})
    costs = run_timed(jobs, runner).costs
    assert costs is not None and costs.done == ["original", "jpeg/q5"], "a job that failed has nothing to time"
    assert costs.failed[LOW] == "no room" and "ended without them (without costs)" in costs.failed[HIGH]
    assert costs_states(tmp_path / "out")[LOW] == "failed"
    curve = ResultFile.load(tmp_path / "out" / "results" / "spic_l1-supervised.json")
    assert len(curve.points) == 2 and not any(map(has_costs, curve.points))
    assert timed_by(jobs) == ["label/row", LOW, HIGH]


def test_a_stop_ends_the_process_and_keeps_the_costs_that_are_known(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs)

    def stop(_job: Job) -> str:
        raise KeyboardInterrupt

    runner = FakeRunner(times={LOW: stop})
    with pytest.raises(KeyboardInterrupt):
        run_timed(jobs, runner)
    assert runner.handles[-1].interrupted and runner.handles[-1].stopped
    assert costs_states(tmp_path / "out") == {**dict.fromkeys(NAMES[:3], "done"), LOW: "interrupted"}
    assert sum(map(has_costs, points(tmp_path / "out"))) == 3, "the curves were collected"
    assert timed_by(jobs) == [LOW, HIGH]


def test_of_a_bank_only_the_units_that_lack_costs_are_timed(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "points": None}])
    name = "spic_l1-supervised/all"
    run_timed(jobs, FakeRunner({name: lambda job: write_result(job, units=["u0", "u1", "u2"])}))
    path = folder_of(jobs, name) / "result.json"
    before = ResultFile.load(path)
    half = [dataclasses.replace(each, encode_ms=None) if each.unit == "u1" else each for each in before.points]
    dataclasses.replace(before, points=half).save(path, overwrite=True)
    assert why_costs(jobs[-1]) == "1 of 3 points without costs"
    assert untimed_points(ResultFile.load(path), load_protocol("synthetic-64")) == {"u1": "without costs"}
    assert timed_by(jobs) == [name]
    after = ResultFile.load(path)
    dates = [[each.extra["timing_date"] for each in result.points] for result in (before, after)]
    assert (dates[0][0], dates[0][2]) == (dates[1][0], dates[1][2]) and dates[0][1] < dates[1][1]


def test_costs_that_are_asked_for_again_are_measured_once_more_and_what_stopped_goes_on(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    assert run_timed(jobs).costs is not None and timed_by(jobs) == []
    assert timed_by(jobs, again=True) == NAMES and timed_by(jobs) == []
    assert not list((tmp_path / "out" / "points").rglob(ASKED))

    def stop(_job: Job) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_timed(jobs, FakeRunner(times={"jpeg/q5": stop}), again=True)
    assert all(map(has_costs, points(tmp_path / "out"))), "what was known is kept until it is measured again"
    assert timed_by(jobs) == ["jpeg/q5", LOW, HIGH] and timed_by(jobs) == []


def extra(**changes: Any) -> Callable[[ResultFile], ResultFile]:
    def change(result: ResultFile) -> ResultFile:
        (point,) = result.points
        changed = dataclasses.replace(point, extra={**point.extra, **changes})
        return dataclasses.replace(result, points=[changed])

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (extra(timing_threads=1), "timed with threads 1, the protocol says 2"),
        (extra(timing_repeats=3), "timed with repeats 3, the protocol says 10"),
        (extra(timing_batch_size=8), "timed with batch_size 8, the protocol says 1"),
        (extra(timing_device="cuda (NVIDIA H200)"), r"timed on cuda (NVIDIA H200), the protocol says cpu"),
        (extra(timing_threads=None), "timed with threads None, the protocol says 2"),
    ],
)
def test_costs_that_were_measured_by_other_rules_are_measured_again(
    tmp_path: Path, change: Callable[[ResultFile], ResultFile], reason: str
) -> None:
    jobs = make_jobs(tmp_path, methods=[])
    run_timed(jobs)
    path = folder_of(jobs, "jpeg/q5") / "result.json"
    change(ResultFile.load(path)).save(path, overwrite=True)
    assert why_costs(jobs[2]) == reason and timed_by(jobs) == ["jpeg/q5"] and why_costs(jobs[2]) is None


def test_the_plan_says_what_is_timed_how_long_that_takes_and_why(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    out, suite = tmp_path / "out", make_suite(tmp_path)
    run(jobs)
    (folder_of(jobs, HIGH) / "result.json").unlink()
    (folder_of(jobs, LOW) / "job.yaml").write_text("x: 1\n")
    status = Status.load(out, "small")
    verdicts = judge_all(jobs, status)
    costs = planned_costs(jobs, verdicts)
    assert costs == {**dict.fromkeys(NAMES[:3], "without costs"), HIGH: ""}, "what is held back is not timed"
    status.set_costs("jpeg/q5", state=DONE, seconds=7.0)
    estimates = Estimates(suite, jobs, status)
    assert estimates.of_costs(jobs[2]) == (7.0, "1 done")
    assert estimates.of_costs(jobs[0]) == (7.0, "1 done of other curves")
    text = plan_total(jobs, verdicts, estimates, 2, costs)
    assert text.startswith("1 job to run, 2 at a time: ") and text.endswith(
        "; costs of 4 jobs, one at a time: about 28 s"
    )
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(plan_table(jobs, verdicts, estimates, costs))
    rows = [line for line in console.export_text().splitlines() if " costs " in line]
    assert len(rows) == 4 and all("7 s" in row for row in rows) and sum("without costs" in row for row in rows) == 3
    fresh = Estimates(suite, jobs, Status(out, "small"))
    assert str(fresh.total_of_costs(jobs[:2])) == "2 jobs of unknown duration"


def test_what_points_cost_and_what_could_not_be_timed_is_said(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    status = Status(tmp_path / "out", "small")
    console = Console(width=160, file=io.StringIO(), record=True)
    runner = FakeRunner(times={LOW: lambda _job: "no room"})
    estimates = Estimates(make_suite(tmp_path), jobs, status)
    with Lines(console, jobs, judge_all(jobs, status), estimates, 1) as lines:
        phase = CostPhase(runner, status, lines)
        finished = run_suite(jobs, jobs, runner, status, lines, costs=phase)
    print_summary(console, finished, tmp_path / "out")
    said = console.export_text()
    assert "costs of 5 jobs, one at a time: 5 jobs of unknown duration" in said
    assert "[3/5] jpeg/q5: costs in" in said and "1.0 + 2.0 ms" in said
    assert f"[4/5] {LOW}: costs failed, no room" in said
    assert "costs of 4 jobs measured" in said and f"no costs: {LOW}: no room" in said
