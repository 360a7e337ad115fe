"""Progress bars with rate and time left, on the terminal only."""

from collections.abc import Iterator
from contextlib import contextmanager

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

console = Console(stderr=True)


class RateColumn(ProgressColumn):
    """Steps per second, over the last seconds."""

    def render(self, task: Task) -> Text:
        """Returns the rate, or nothing before the first step."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class Reporter:
    """One line of progress that the parts of a run take over one after another."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._what = progress, task, ""

    def step(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` steps are done; a new beginning restarts the clock."""
        stem = what.split()[0] if what else ""
        if done <= 1 or stem != self._what:
            self._what = stem
            if done <= 1:
                self._progress.reset(self._task, total=total)
        self._progress.update(self._task, description=what, completed=done, total=total)


@contextmanager
def reporter(title: str) -> Iterator[Reporter]:
    """Opens a progress line called `title`; it goes when the work is done."""
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
        task = progress.add_task("", total=None)
        yield Reporter(progress, task)
