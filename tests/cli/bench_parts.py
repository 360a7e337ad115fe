"""A small suite, and a runner that makes results up instead of training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2_spic_plugin.cli.bench import schedule, suite_run
from sc2_spic_plugin.cli.bench.job import ORIGINAL, RESULT, RUN_CONFIG, Job
from sc2_spic_plugin.cli.bench.plan import plan_jobs
from sc2_spic_plugin.cli.bench.runner import Ended
from sc2_spic_plugin.cli.bench.status import JobStatus, Status
from sc2_spic_plugin.cli.bench.suite_run import Finished, run_suite
from sc2_spic_plugin.cli.bench.verdict import Verdict
from sc2_spic_plugin.configs.suite import Suite, load_suite
from sc2_spic_plugin.leaderboard import (
    Meta,
    Point,
    ResultFile,
    load_protocol,
    per_image_csv_path,
    write_per_image_csv,
)
from sc2_spic_plugin.ops import file_digest

WEIGHT = "train.stage1.criterion.kwargs.sub_terms.rate.weight"
SPIC = {
    "method": "spic_l1",
    "supervision": "supervised",
    "config": "smoke/spic_supervised.yaml",
    "points": {"low": {WEIGHT: 8.0}, "high": {WEIGHT: 1.0}},
}


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

    Those in `endless` never end by themselves.
    """

    threads = 2

    def __init__(self, acts: dict[str, Callable[[Job], str | None]] | None = None, polls: int = 1) -> None:
        self.acts, self.polls = acts or {}, polls
        self.endless: set[str] = set()
        self.started: list[tuple[str, str]] = []
        self.handles: list[FakeRunning] = []
        self.running = self.most = 0

    def start(self, job: Job, mode: str) -> FakeRunning:
        self.started.append((job.name, mode))
        self.running += 1
        self.most = max(self.most, self.running)
        act = self.acts.get(job.name, write_result)
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


def run(jobs: list[Job], runner: FakeRunner | None = None, told: Told | None = None, **options: Any) -> Finished:
    out = jobs[0].settings.out
    return run_suite(jobs, jobs, runner or FakeRunner(), Status.load(out, "small"), told or Told(), **options)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs, so nothing is waited for; a plot takes a second."""
    monkeypatch.setattr(schedule, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(suite_run, "plot_rate_accuracy", lambda *_arguments: None)
