"""What a reader sees before and after: the plan, and what became of it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...leaderboard import Point
from .estimate import Estimate, Estimates, duration_text, jobs_text, shares_text
from .job import COSTS, Job
from .suite_run import Finished
from .verdict import HOLD, KEEP, MEASURE, REDO, RESUME, SKIP, TRAIN, Verdict

__all__ = ["NOT_RUN", "TO_DO", "costs_text", "plan_shares", "plan_table", "plan_total", "points_text", "print_summary"]

TO_DO = {
    KEEP: "done",
    MEASURE: "measure",
    RESUME: "go on",
    TRAIN: "run",
    REDO: "run anew",
    HOLD: "held back",
    SKIP: "skipped",
}
NOT_RUN = (KEEP, HOLD, SKIP)


def plan_table(
    jobs: Sequence[Job], verdicts: Mapping[str, Verdict], estimates: Estimates, costs: Mapping[str, str]
) -> Table:
    """Returns one line per job and, below, per job that is timed: what is done, how long it takes if known, and why.

    Args:
        jobs: those that are looked at.
        verdicts: what is to be done with each.
        estimates: of their durations.
        costs: of whose points the costs are measured after all jobs, with the reason.
    """
    table = Table()
    for heading in ("Job", "To do", "Time", "From", "Why"):
        table.add_column(heading, no_wrap=heading != "Why", overflow="fold")

    def add(job: Job, to_do: str, estimate: Estimate | None, reason: str) -> None:
        time = "" if estimate is None else "unknown" if estimate.seconds is None else duration_text(estimate.seconds)
        table.add_row(escape(job.name), to_do, time, "" if estimate is None else estimate.source, escape(reason))

    for job in jobs:
        verdict = verdicts[job.name]
        add(job, TO_DO[verdict.action], None if verdict.action in NOT_RUN else estimates.of(job), verdict.reason)
    timed = [job for job in jobs if job.name in costs]
    if timed:
        table.add_section()
    for job in timed:
        add(job, COSTS, estimates.of_costs(job), costs[job.name])
    return table


def plan_total(
    jobs: Sequence[Job],
    verdicts: Mapping[str, Verdict],
    estimates: Estimates,
    at_a_time: int,
    costs: Collection[str] = (),
) -> str:
    """Returns how many jobs are to be run and how long that takes, and the same of those in `costs` that are timed."""
    left = [job for job in jobs if verdicts[job.name].action not in NOT_RUN]
    timed = [job for job in jobs if job.name in costs]
    count = Counter(verdicts[job.name].action for job in jobs)
    others = "".join(f", {count[action]} {TO_DO[action]}" for action in (HOLD, SKIP) if count[action])
    after = f"costs of {jobs_text(len(timed))}, one at a time: {estimates.total_of_costs(timed)}"
    done = f"{jobs_text(count[KEEP]) if not left else count[KEEP]} done{others}"
    if not left:
        return f"{done}, nothing to run{f' but {after}' if timed else ''}"
    total = estimates.total([(job, 0.0) for job in left], at_a_time)
    return f"{jobs_text(len(left))} to run, {at_a_time} at a time: {total}; {done}{f'; {after}' if timed else ''}"


def plan_shares(jobs: Sequence[Job], verdicts: Mapping[str, Verdict], estimates: Estimates) -> str:
    """Returns how long the jobs to be run take one after the other, as far as is known, and each method's share."""
    left = [(job, estimates.of(job).seconds) for job in jobs if verdicts[job.name].action not in NOT_RUN]
    return shares_text((job, seconds) for job, seconds in left if seconds is not None)


def points_text(points: Sequence[Point]) -> str:
    """Returns accuracy and size of operating points on one line."""
    return ", ".join(
        f"{point.accuracy:.1f} %" + ("" if point.payload_bytes is None else f" at {point.payload_bytes:.0f} B")
        for point in points
    )


def costs_text(points: Sequence[Point]) -> str:
    """Returns latency on device and server of operating points that were timed on one line."""
    return ", ".join(f"{point.encode_ms:.1f} + {point.decode_ms:.1f} ms" for point in points)


def print_summary(console: Console, finished: Finished, out: Path, spent: str = "") -> None:
    """Prints how many jobs are done and timed, each that is not with the reason, and what the suite does not name.

    Args:
        console: where to print.
        finished: what came of the suite.
        out: its folder.
        spent: the time that the jobs took and each method's share.
    """
    summary, problems, costs = finished.summary, finished.problems, finished.costs
    lines = [f"{jobs_text(len(summary.done))} done{f' ({spent})' if spent else ''}"]
    named = {"failed": summary.failed, "not run": summary.not_run, "skipped": summary.skipped}
    for what, jobs in named.items():
        lines += [f"  {what}: {name}: {reason}" for name, reason in jobs.items()]
    lines += [f"  no result file for {curve}: {reason}" for curve, reason in problems.items()]
    if costs is not None and (costs.done or costs.failed):
        lines.append(f"costs of {jobs_text(len(costs.done))} measured")
        lines += [f"  no costs: {name}: {reason}" for name, reason in costs.failed.items()]
    if finished.unnamed:
        lines.append(f"  left out of the results, for this suite does not name them: {', '.join(finished.unnamed)}")
    if finished.others:
        lines.append(f"  of another suite, in table and plot too: {', '.join(finished.others)}")
    if summary.failed or (costs is not None and costs.failed):
        lines.append(f"what they printed is in {out / 'log'}; run the same command again to try them again")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
