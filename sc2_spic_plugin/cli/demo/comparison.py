"""One comparison in one folder: a suite fitted to its images, every job run here, a table and a plot."""

import dataclasses
import time
from collections.abc import Sequence

from ...configs import resolve_config
from ...configs.suite import Suite, load_suite
from ...errors import ConfigError, SpicError
from ...leaderboard import ResultFile, render_console
from ..bench.in_process import InProcess
from ..bench.job import RESULT, Job
from ..bench.plan import plan_jobs
from ..bench.show import points_text
from ..bench.status import DONE, SKIPPED, JobStatus, Status
from ..bench.suite_run import run_suite
from ..bench.verdict import Verdict
from ..progress import console
from .images import ClassFolder, DemoImages
from .options import DemoOptions
from .pair_folder import PairFolderImages

__all__ = ["fit_suite", "run_demo"]

EPOCHS = "train.stage1.num_epochs"


def run_demo(options: DemoOptions) -> None:
    """Runs the comparison and writes `results/`, `leaderboard.md` and `rate_accuracy.png` below `options.out`.

    Raises:
        ConfigError: the folder holds results already, or options that do not go together.
        SpicError: a part failed; what does not need it was measured.
    """
    suite = load_suite(resolve_config(f"suites/{options.suite_name()}.yaml"))
    if (options.out / "results").exists():
        raise ConfigError(f"{options.out} holds results already; choose another --out.")
    images = DemoImages()
    if options.data is not None:
        images = {"classification": ClassFolder, "segmentation": PairFolderImages}[options.task](options.data)
    suite = fit_suite(suite, images, options)
    jobs = plan_jobs(suite, options.out, options.network, options.device)
    lines = _CurveLines(jobs)
    finished = run_suite(jobs, jobs, InProcess(), Status(jobs[0].settings.out, suite.name), lines)
    for table in render_console(finished.results, width=console.width) if finished.results else ():
        console.print(table)
    written = [options.out / name for name in ("leaderboard.md", "rate_accuracy.png")]
    console.print(f"{lines.seconds():.0f} s in all: {', '.join(map(str, written))}", highlight=False)
    problems = [*finished.summary.failed.items(), *finished.problems.items()]
    if problems:
        raise SpicError("; ".join(f"`{name}` failed: {reason}" for name, reason in problems))


def fit_suite(suite: Suite, images: DemoImages, options: DemoOptions) -> Suite:
    """Returns a suite with what the images and the options say: folders, classes, sizes, epochs, protocol."""
    methods = []
    for method in suite.methods:
        values = {**suite.shared, **images.values(method.network_path), **method.values}
        points = None if method.points is None else {name: dict(own) for name, own in method.points.items()}
        for own in [values] if points is None else points.values():  # a bank is one job, else each point is
            planned = {**values, **own}.get(EPOCHS, 1)
            own[EPOCHS] = options.epochs or images.epochs(planned, suite.minimum_steps)
        methods.append(dataclasses.replace(method, values=values, points=points))
    network = {**images.values("models.model"), **suite.network.values}
    return dataclasses.replace(
        suite,
        methods=methods,
        network=dataclasses.replace(suite.network, values=network),
        protocol=images.protocol(options.out),
    )


class _CurveLines:
    """A line for each curve when the last of its jobs has ended."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = {job.curve: [other for other in jobs if other.curve == job.curve] for job in jobs}
        self._done: dict[str, list[Job]] = {curve: [] for curve in self._left}
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Returns the time since the beginning."""
        return time.monotonic() - self._started

    def started(self, job: Job, verdict: Verdict) -> None:
        """Says nothing."""

    def waiting(self, running: Sequence[tuple[Job, float]], left: Sequence[Job]) -> None:
        """Says nothing: jobs show their own progress."""

    def ended(self, job: Job, status: JobStatus, verdict: Verdict | None) -> None:
        """Says what a curve is, and what is not in it."""
        self._left[job.curve].remove(job)
        if status.state == DONE:
            self._done[job.curve].append(job)
        elif status.state != SKIPPED or not self._left[job.curve]:
            self._print(f"        {job.name if status.state != SKIPPED else job.curve}: {status.state}, {status.error}")
        if self._done[job.curve] and not self._left[job.curve]:
            done = [ResultFile.load(each.folder / RESULT).points for each in self._done[job.curve]]
            points = sorted((point for each in done for point in each), key=lambda point: point.bpp or 0.0)
            self._print(f"{self.seconds():4.0f} s  {job.curve}: {points_text(points)}")

    def _print(self, text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
