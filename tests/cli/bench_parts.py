"""A small suite, and a runner that makes results up instead of training."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sc2_spic_plugin.cli.bench import cost_phase, schedule, suite_run
from sc2_spic_plugin.cli.bench.cost_columns import with_costs
from sc2_spic_plugin.cli.bench.cost_phase import CostPhase
from sc2_spic_plugin.cli.bench.cost_rules import asked_at, now, untimed_points
from sc2_spic_plugin.cli.bench.job import COSTS, ORIGINAL, RESULT, RUN_CONFIG, Job
from sc2_spic_plugin.cli.bench.plan import plan_jobs
from sc2_spic_plugin.cli.bench.runner import Ended
from sc2_spic_plugin.cli.bench.schedule import judge_all
from sc2_spic_plugin.cli.bench.status import JobStatus, Status
from sc2_spic_plugin.cli.bench.suite_run import Finished, run_suite
from sc2_spic_plugin.cli.bench.verdict import Verdict
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.configs.suite import Suite, load_suite
from sc2_spic_plugin.leaderboard import (
    Meta,
    Point,
    ResultFile,
    load_protocol,
    per_image_csv_path,
    write_per_image_csv,
)
from sc2_spic_plugin.leaderboard.costs.latency import Latency
from sc2_spic_plugin.leaderboard.costs.point_costs import Costs
from sc2_spic_plugin.leaderboard.styles import LABEL_METHOD
from sc2_spic_plugin.ops import file_digest
from sc2_spic_plugin.training.build import build_config, seed_everything

WEIGHT = "train.stage1.criterion.kwargs.sub_terms.rate.weight"
SPIC = {
    "method": "spic_l1",
    "supervision": "supervised",
    "config": "smoke/spic_supervised.yaml",
    "points": {"low": {WEIGHT: 8.0}, "high": {WEIGHT: 1.0}},
}
SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 1,
}
"""Values that leave few synthetic images."""
LOW, HIGH = "spic_l1-supervised/low", "spic_l1-supervised/high"


def make_suite(folder: Path, **changes: Any) -> Suite:
    content = {
        "name": "small",
        "protocol": "synthetic-64",
        "network": {"config": "smoke/network.yaml"},
        "methods": [SPIC],
        "codecs": {"jpeg": [5]},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_suite(path)


def make_jobs(folder: Path, weights: Path | None = None, **changes: Any) -> list[Job]:
    return plan_jobs(make_suite(folder, **changes), folder / "out", weights)


def write_result(job: Job, units: Sequence[str] | None = None, accuracy: float = 80.0, **meta: Any) -> None:
    """Leaves what a job that went well leaves: a checkpoint where it trains, a result, per-image tables."""
    if job.builds is not None:
        return
    (job.folder / RUN_CONFIG).write_text(job.text)
    config = file_digest(job.folder / RUN_CONFIG)
    checkpoint = job.given_checkpoint or job.folder / "checkpoint.pt"
    if job.trains:
        checkpoint.write_bytes(job.name.encode())
    digest = file_digest(checkpoint) if job.row is None else None
    method = job.curve.partition("-")[0]
    protocol = load_protocol("synthetic-64")
    size = None if method == ORIGINAL else 10
    points = [
        Point(
            unit=unit,
            bpp=None if size is None else (size + index) * 8 / 64**2,
            payload_bytes=None if size is None else size + index,
            top1=accuracy + job.seed,
            config_sha256=config,
            checkpoint_sha256=digest,
            seed=job.seed if job.row is None else None,
        )
        for index, unit in enumerate(units or [Path(job.name).name.partition("-seed")[0]])
    ]
    about = {
        "task": "classification",
        "dataset": "synthetic",
        "protocol": protocol.name,
        "protocol_sha256": protocol.sha256,
        "network": "ResNet",
        "network_sha256": "ab" * 32,
        "method": method,
        "samples": 1,
        "cut": "layer2" if method.startswith("spic") else None,
    }
    result = ResultFile(job.name, "", points, Meta.collect(**{**about, **meta}))
    result.save(job.folder / RESULT, overwrite=True)
    for point in points:
        write_per_image_csv(per_image_csv_path(job.folder / RESULT, point.unit), [("a", 10, True)])


def write_costs(job: Job) -> None:
    """Leaves what timing leaves: costs of the points that lack them, as the protocol wants them."""
    result = ResultFile.load(job.folder / RESULT)
    protocol = load_protocol("synthetic-64")
    lacking = untimed_points(result, protocol, asked_at(job.folder))
    timing = Latency(1.0, 2.0, 0.5, 0.5, 1.0, 1.0, 1, protocol.timing.repeats, "cpu", protocol.threads or 1)
    costs = Costs(5.0, 0.0, 1.0, 100, 0 if job.curve == LABEL_METHOD else 200, timing)
    points = [
        with_costs(point, costs, timing_date=now()) if point.unit in lacking else point for point in result.points
    ]
    dataclasses.replace(result, points=points).save(job.folder / RESULT, overwrite=True)


class FakeRunning:
    def __init__(self, runner: "FakeRunner", job: Job, finish: Callable[[], str | None]) -> None:
        self.runner, self.job, self.finish, self.polls = runner, job, finish, runner.polls
        self.interrupted = self.stopped = False

    def poll(self) -> Ended | None:
        self.polls -= 1
        if self.polls > 0 or self.job.name in self.runner.endless:
            return None
        self.runner.running -= 1
        return Ended(self.finish())

    def interrupt(self) -> None:
        self.interrupted = True

    def stop(self) -> None:
        assert self.interrupted
        self.stopped = True


class FakeRunner:
    """Ends each job at its `polls`-th poll; `acts` says by name what it does instead of writing a result.

    `times` says the same of timing. Those in `endless` never end by themselves.
    """

    threads = 2

    def __init__(
        self,
        acts: dict[str, Callable[[Job], str | None]] | None = None,
        polls: int = 1,
        times: dict[str, Callable[[Job], str | None]] | None = None,
    ) -> None:
        self.acts, self.polls, self.times = acts or {}, polls, times or {}
        self.endless: set[str] = set()
        self.started: list[tuple[str, str]] = []
        self.handles: list[FakeRunning] = []
        self.running = self.most = 0

    def start(self, job: Job, mode: str) -> FakeRunning:
        self.started.append((job.name, mode))
        self.running += 1
        self.most = max(self.most, self.running)
        act = self.times.get(job.name, write_costs) if mode == COSTS else self.acts.get(job.name, write_result)
        self.handles.append(FakeRunning(self, job, lambda: act(job)))
        return self.handles[-1]


class Told:
    """Keeps what progress is told."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Verdict | None] = {}

    def started(self, job: Job, verdict: Verdict) -> None: ...

    def waiting(self, running: Sequence[tuple[Job, float]], left: Sequence[Job]) -> None: ...

    def ended(self, job: Job, status: JobStatus, verdict: Verdict | None) -> None:
        self.verdicts[job.name] = verdict

    def timing(self, jobs: Sequence[Job]) -> None: ...

    def timed(self, job: Job, status: JobStatus) -> None: ...


def run(jobs: list[Job], runner: FakeRunner | None = None, told: Told | None = None, **options: Any) -> Finished:
    out = jobs[0].settings.out
    return run_suite(jobs, jobs, runner or FakeRunner(), Status.load(out, "small"), told or Told(), **options)


def run_timed(jobs: list[Job], runner: FakeRunner | None = None, again: bool = False, **options: Any) -> Finished:
    """Runs the jobs and times their points."""
    runner, status, told = runner or FakeRunner(), Status.load(jobs[0].settings.out, "small"), Told()
    phase = CostPhase(runner, status, told, again)
    return run_suite(jobs, jobs, runner, status, told, costs=phase, **options)


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


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smoke network, which nobody trained."""
    folder = tmp_path_factory.mktemp("network")
    config = folder / "network.yaml"
    config.write_text(render_config(resolve_config("smoke/network.yaml").read_text(), SMALL))
    seed_everything(0)
    torch.save(build_config(config, torch.device("cpu")).model.state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs, so nothing is waited for; a plot takes a second."""
    monkeypatch.setattr(schedule, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(cost_phase, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(suite_run, "plot_rate_accuracy", lambda *_arguments: None)
