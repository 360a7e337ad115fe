"""A line for each job that ends and each that is timed, above a bar with the time that is left."""

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ...leaderboard import ResultFile
from .estimate import Estimates, duration_text, jobs_text
from .job import RESULT, Job
from .show import NOT_RUN, TO_DO, costs_text, points_text
from .status import DONE, FAILED, JobStatus
from .verdict import Verdict

__all__ = ["Lines"]


class Lines:
    """Says what becomes of each job.

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
        self._untimed: list[str] = []
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
            self._print(f"{job.name}: {TO_DO[verdict.action]}, {verdict.reason}")

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
        to_run = [job for job in left if self._actions.get(job.name) not in NOT_RUN]
        total = self._estimates.total([*running, *((job, 0.0) for job in to_run)], self._at_a_time)
        failed = f", {self._failed} failed" if self._failed else ""
        names = ", ".join(job.name for job, _ in running)
        self._bar.update(self._task, description=escape(f"{len(running)} running{failed}, left: {total}  {names}"))

    def timing(self, jobs: Sequence[Job]) -> None:
        """Says what is going to be timed, and takes the bar away: drawing it takes time too."""
        self._bar.stop()
        self._untimed = [job.name for job in jobs]
        self._print(f"costs of {jobs_text(len(jobs))}, one at a time: {self._estimates.total_of_costs(jobs)}")

    def timed(self, job: Job, status: JobStatus) -> None:
        """Says what the points of a job cost."""
        place = f"[{self._untimed.index(job.name) + 1}/{len(self._untimed)}] " if job.name in self._untimed else ""
        if status.state != DONE:
            self._print(f"{place}{job.name}: costs {status.state}, {status.error}")
            return
        taken = "" if status.seconds is None else f" in {duration_text(status.seconds)}"
        found = costs_text(ResultFile.load(job.folder / RESULT).points)
        self._print(f"{place}{job.name}: costs{taken}: {found}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
