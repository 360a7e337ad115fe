"""Progress with rate and time left: a bar on a terminal, elsewhere a line a minute."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["Reporter", "console", "reporter"]

NOTE_SECONDS = 60.0
"""Between two lines of progress in a log."""

console = Console(stderr=True)


class RateColumn(ProgressColumn):
    """Steps per second, over the last seconds."""

    def render(self, task: Task) -> Text:
        """Returns the rate, or nothing before the first step."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class Reporter:
    """One line of progress that the parts of a run take over one after another.

    Args:
        progress: shows it on a terminal.
        task: of `progress`.
        title: begins each line in a log.
        clock: seconds.
    """

    def __init__(
        self, progress: Progress, task: TaskID, title: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress, self._task, self._what, self._title = progress, task, "", title
        self._clock, self._noted = clock, clock()

    def step(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` steps are done; a new beginning restarts the clock."""
        stem = what.split()[0] if what else ""
        if done <= 1 or stem != self._what:
            self._what = stem
            if done <= 1:
                self._progress.reset(self._task, total=total)
        self._progress.update(self._task, description=what, completed=done, total=total)
        if self._progress.disable and self._clock() - self._noted >= NOTE_SECONDS:
            self._noted = self._clock()
            self._note(what, done, total)

    def _note(self, what: str, done: int, total: int) -> None:
        """Says in a line how far the work is."""
        task = self._progress.tasks[self._task]
        rate = "" if task.speed is None else f", {task.speed:.1f}/s"
        left = "" if task.time_remaining is None else f", {timedelta(seconds=int(task.time_remaining))} left"
        line = f"{self._title}: {what} {done}/{total}{rate}{left}"
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reporter(title: str) -> Iterator[Reporter]:
    """Opens a progress line called `title`; on a terminal it goes when the work is done."""
    columns = (
        TextColumn(f"[bold]{title}"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Reporter(progress, progress.add_task("", total=None), title)
