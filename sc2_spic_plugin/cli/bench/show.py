"""What a reader sees: the plan, the jobs while they run, and what became of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ...leaderboard import Point, ResultFile
from .estimate import Estimates, duration_text, jobs_text
from .job import RESULT, Job
from .schedule import Summary
from .status import DONE, FAILED, JobStatus
from .verdict import HOLD, KEEP, MEASURE, REDO, RESUME, SKIP, TRAIN, Verdict

__all__ = ["Lines", "plan_table", "plan_total", "points_text", "print_summary"]

_TO_DO = {
    KEEP: "done",
    MEASURE: "measure",
    RESUME: "go on",
    TRAIN: "run",
    REDO: "run anew",
    HOLD: "held back",
    SKIP: "skipped",
}
_NOT_RUN = (KEEP, HOLD, SKIP)


def plan_table(jobs: Sequence[Job], verdicts: Mapping[str, Verdict], estimates: Estimates) -> Table:
    """Returns one line per job: what is to be done, how long it takes where that was measured, and why."""
    table = Table()
    for heading in ("Job", "To do", "Time", "From", "Why"):
        table.add_column(heading, no_wrap=heading != "Why", overflow="fold")
    for job in jobs:
        verdict, estimate = verdicts[job.name], estimates.of(job)
        time = "unknown" if estimate.seconds is None else duration_text(estimate.seconds)
        shown = ("", "") if verdict.action in _NOT_RUN else (time, estimate.source)
        table.add_row(escape(job.name), _TO_DO[verdict.action], *shown, escape(verdict.reason))
    return table


def plan_total(jobs: Sequence[Job], verdicts: Mapping[str, Verdict], estimates: Estimates, at_a_time: int) -> str:
    """Returns how many jobs are to be run and how long that takes."""
    left = [job for job in jobs if verdicts[job.name].action not in _NOT_RUN]
    count = Counter(verdicts[job.name].action for job in jobs)
    others = "".join(f", {count[action]} {_TO_DO[action]}" for action in (HOLD, SKIP) if count[action])
    if not left:
        return f"{jobs_text(count[KEEP])} done{others}, nothing to run"
    total = estimates.total([(job, 0.0) for job in left], at_a_time)
    return f"{jobs_text(len(left))} to run, {at_a_time} at a time: {total}; {count[KEEP]} done{others}"


def points_text(points: Sequence[Point]) -> str:
    """Returns accuracy and size of operating points on one line."""
    return ", ".join(
        f"{point.accuracy:.1f} %" + ("" if point.payload_bytes is None else f" at {point.payload_bytes:.0f} B")
        for point in points
    )


class Lines:
    """A line for each job that ends, above a bar with the time that is left.

    Args:
        console: where to print.
        jobs: all jobs that are looked at.
        verdicts: what was to be done with each at the beginning.
        estimates: of their durations.
        at_a_time: how many run at a time.
    """

    def __init__(
        self,
        console: Console,
        jobs: Sequence[Job],
        verdicts: Mapping[str, Verdict],
        estimates: Estimates,
        at_a_time: int,
    ) -> None:
        self._actions = {name: verdict.action for name, verdict in verdicts.items()}
        self._console, self._estimates, self._at_a_time = console, estimates, at_a_time
        self._total, self._ended, self._failed = len(jobs), 0, 0
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=len(jobs))

    def __enter__(self) -> "Lines":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def started(self, job: Job, verdict: Verdict) -> None:
        """Says that a job was started where there is more to say than that."""
        if verdict.reason:
            self._print(f"{job.name}: {_TO_DO[verdict.action]}, {verdict.reason}")

    def ended(self, job: Job, status: JobStatus, verdict: Verdict | None) -> None:
        """Says how a job ended; one that was done already is counted alone, unless there is something to say."""
        self._ended += 1
        self._failed += status.state == FAILED
        self._bar.update(self._task, completed=self._ended)
        place = f"[{self._ended}/{self._total}] {job.name}"
        if status.state != DONE:
            self._print(f"{place}: {status.state}, {status.error}")
        elif verdict is None:  # it was run
            taken = "" if status.seconds is None else f" in {duration_text(status.seconds)}"
            found = "" if job.builds else f": {points_text(ResultFile.load(job.folder / RESULT).points)}"
            self._print(f"{place}: done{taken}{found}")
        elif verdict.reason:
            self._print(f"{place}: done before, {verdict.reason}")

    def waiting(self, running: Sequence[tuple[Job, float]], left: Sequence[Job]) -> None:
        """Shows what runs and the time that is left."""
        to_run = [job for job in left if self._actions.get(job.name) not in _NOT_RUN]
        total = self._estimates.total([*running, *((job, 0.0) for job in to_run)], self._at_a_time)
        failed = f", {self._failed} failed" if self._failed else ""
        names = ", ".join(job.name for job, _ in running)
        self._bar.update(self._task, description=escape(f"{len(running)} running{failed}, left: {total}  {names}"))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_summary(console: Console, summary: Summary, problems: Mapping[str, str], out: Path) -> None:
    """Prints how many jobs are done, and each that is not with the reason."""
    lines = [f"{jobs_text(len(summary.done))} done"]
    named = {"failed": summary.failed, "not run": summary.not_run, "skipped": summary.skipped}
    for what, jobs in named.items():
        lines += [f"  {what}: {name}: {reason}" for name, reason in jobs.items()]
    lines += [f"  no result file for {curve}: {reason}" for curve, reason in problems.items()]
    if summary.failed:
        lines.append(f"what they printed is in {out / 'log'}; run the same command again to try them again")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
