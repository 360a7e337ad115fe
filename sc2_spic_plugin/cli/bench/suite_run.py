"""A suite from jobs to result files, table and plot."""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError, SpicError
from ...leaderboard import ResultFile, collect_results, group_of, plot_rate_accuracy, render_markdown
from ...ops import write_atomic
from .collect import RESULTS, collect_curve, collect_curves, unnamed_points
from .cost_phase import CostPhase, CostSummary
from .job import Job
from .runner import Runner
from .schedule import Progress, Schedule, Summary, judge_all
from .status import Status
from .verdict import KEEP

__all__ = ["Finished", "run_suite", "working_in"]

LOCK = ".lock"


class Finished(NamedTuple):
    """What came of a suite.

    Attributes:
        summary: what became of the jobs.
        problems: why a curve has no result file, or only part of it, by curve; why there is no table or plot.
        results: the curves of the suite.
        costs: what became of the timing; None: nothing was timed but what jobs time themselves.
        unnamed: results of its curves in the folder that the suite does not name, which its result files leave out.
        others: result files of curves that another suite put there, which share table and plot.
    """

    summary: Summary
    problems: Mapping[str, str]
    results: Sequence[ResultFile]
    costs: CostSummary | None = None
    unnamed: Sequence[str] = ()
    others: Sequence[str] = ()


def run_suite(
    jobs: Sequence[Job],
    chosen: Sequence[Job],
    runner: Runner,
    status: Status,
    progress: Progress,
    at_a_time: int = 1,
    redo_stale: bool = False,
    costs: CostPhase | None = None,
) -> Finished:
    """Runs the jobs that are chosen and writes `results/`, `leaderboard.md` and `rate_accuracy.png`.

    The result file of a curve is written anew whenever one of its jobs is done or timed, so that a kill costs none.

    Args:
        jobs: all jobs of the suite.
        chosen: those that are run; see `choose`.
        runner: starts them.
        status: of the suite's folder.
        progress: is told what happens.
        at_a_time: how many run at a time.
        redo_stale: do points of other code again.
        costs: times points after all jobs have ended; None: the jobs do so themselves, or nobody does.

    Raises:
        KeyboardInterrupt: it was stopped; the results of all jobs that are done are written.
    """
    kept = {name for name, verdict in judge_all(jobs, status).items() if verdict.action == KEEP}

    def done() -> set[str]:
        return (kept - schedule.begun) | set(schedule.summary.done)

    def collect(job: Job) -> None:
        if job.builds is not None:
            return
        members = [each for each in jobs if each.curve == job.curve and each.name in done()]
        with contextlib.suppress(SpicError, OSError):  # said at the end, where all curves are collected once more
            collect_curve(members)

    schedule = Schedule(chosen, runner, status, progress, collect, at_a_time, redo_stale)
    timed = None
    try:
        summary = schedule.run()
        if costs is not None:
            timed = costs.run([job for job in chosen if job.name in done()], collect)
    finally:
        # judged once more: a new original network may have come, under which what was kept does not hold
        holding = {name for name, verdict in judge_all(jobs, status).items() if verdict.action == KEEP}
        paths, problems = collect_curves(jobs, holding)
    results = [ResultFile.load(path) for path in paths]
    others: list[str] = []
    try:
        if results:
            others = _draw(jobs[0].settings.out, paths)
    except (SpicError, OSError) as error:
        problems["leaderboard.md and rate_accuracy.png"] = str(error)
    return Finished(summary, problems, results, timed, unnamed_points(jobs), others)


def _draw(out: Path, own: Sequence[Path]) -> list[str]:
    """Writes table and plot of a folder; returns the names of result files in it that are not the suite's own."""
    sources = collect_results([out / RESULTS]).sources
    write_atomic(out / "leaderboard.md", render_markdown([source.result for source in sources]))
    group = group_of(ResultFile.load(own[0]))
    shown = [source.result for source in sources if group_of(source.result) == group]
    plot_rate_accuracy(shown, out / "rate_accuracy.png")
    return sorted(source.path.name for source in sources if source.path is not None and source.path not in own)


@contextlib.contextmanager
def working_in(out: Path) -> Iterator[None]:
    """Keeps a second suite out of a folder while one is at work in it, even if this one is killed.

    Raises:
        ConfigError: another is at work there.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"another `sc2-spic bench` is at work in {out}; wait for it, or choose another --out."
            ) from error
        yield
