"""How long jobs will take, from durations that were measured; never a guess."""

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ...configs.suite import Suite
from .job import Job
from .status import DONE, JobStatus, Status
from .verdict import MEASURE

__all__ = ["Estimate", "Estimates", "Total", "duration_text", "jobs_text", "shares_text", "time_spent"]

NAMED_SHARES = 6
"""So many methods are named in a line of shares."""


class Estimate(NamedTuple):
    """Seconds of a job and where the figure is from; None where nobody measured it."""

    seconds: float | None
    source: str = ""


class Total(NamedTuple):
    """Seconds of several jobs run some at a time, and how many of them are not in it because nobody measured them."""

    seconds: float
    unknown: int

    def __str__(self) -> str:
        """Returns the figure for a reader."""
        if not self.unknown:
            return f"about {duration_text(self.seconds)}"
        jobs = f"{jobs_text(self.unknown)} of unknown duration"
        return f"about {duration_text(self.seconds)} and {jobs}" if self.seconds else jobs


class Estimates:
    """Durations of jobs: the median of those done of the same point, else curve; else what the suite says.

    Args:
        suite: says what one job of a curve takes from nothing, where somebody wrote that down.
        jobs: all of them.
        status: how long those took that are done.
        measured: names of jobs that have a checkpoint and only measure it: that is no training's time.
    """

    def __init__(self, suite: Suite, jobs: Sequence[Job], status: Status, measured: Collection[str] = ()) -> None:
        self._suite, self._jobs, self._status, self._measured = suite, jobs, status, frozenset(measured)

    def of(self, job: Job) -> Estimate:
        """Returns the estimate of a job from its beginning."""
        measured = job.name in self._measured

        def counts(status: JobStatus) -> bool:
            return status.state == DONE and (status.mode == MEASURE) == measured

        curve = [other for other in self._jobs if other.curve == job.curve]
        for alike in ([other for other in curve if other.text == job.text], curve):  # other seeds first
            found = [self._status.of(other.name) for other in alike]
            known = [each.seconds for each in found if counts(each) and each.seconds is not None]
            if known:
                return Estimate(statistics.median(known), f"{len(known)} done")
        recorded = None if measured else self._suite.durations.get(job.curve)
        return Estimate(None) if recorded is None else Estimate(float(recorded), "suite")

    def of_costs(self, job: Job) -> Estimate:
        """Returns the estimate of timing a job's points: the median of those done of its curve, else of all."""
        curve = [other for other in self._jobs if other.curve == job.curve]
        for alike, whose in ((curve, ""), (self._jobs, " of other curves")):
            found = [self._status.costs_of(other.name) for other in alike]
            known = [each.seconds for each in found if each.state == DONE and each.seconds is not None]
            if known:
                return Estimate(statistics.median(known), f"{len(known)} done{whose}")
        return Estimate(None)

    def total_of_costs(self, jobs: Iterable[Job]) -> Total:
        """Returns how long timing the points of jobs takes, one after the other."""
        seconds = [self.of_costs(job).seconds for job in jobs]
        return Total(sum(each for each in seconds if each is not None), seconds.count(None))

    def total(self, jobs: Iterable[tuple[Job, float]], at_a_time: int) -> Total:
        """Returns how long jobs take together.

        Args:
            jobs: those that are not done, and the seconds that each has had.
            at_a_time: how many run at a time; what each takes is as measured, however many ran then.
        """
        known, unknown = 0.0, 0
        for job, spent in jobs:
            seconds = self.of(job).seconds
            if seconds is None:
                unknown += 1
            else:
                known += max(0.0, seconds - spent)
        return Total(known / at_a_time, unknown)


def time_spent(jobs: Iterable[Job], status: Status) -> list[tuple[Job, float]]:
    """Returns the jobs that are done and how many seconds each took, the timing of its points included."""
    runs = ((job, status.of(job.name), status.costs_of(job.name).seconds or 0.0) for job in jobs)
    return [(job, run.seconds + costs) for job, run, costs in runs if run.state == DONE and run.seconds is not None]


def shares_text(times: Iterable[tuple[Job, float]]) -> str:
    """Returns the sum of the seconds of jobs and each method's share of it, the largest first; empty without any."""
    by_method: dict[str, float] = defaultdict(float)
    for job, seconds in times:
        by_method[job.method] += seconds
    total = sum(by_method.values())
    if not total:
        return ""
    ranked = sorted(by_method.items(), key=lambda item: -item[1])
    shares = [f"{method} {100 * seconds / total:.0f} %" for method, seconds in ranked[:NAMED_SHARES]]
    rest = [seconds for _, seconds in ranked[NAMED_SHARES:]]
    if rest:
        shares.append(f"{len(rest)} more {100 * sum(rest) / total:.0f} %")
    return f"{duration_text(total)}: {', '.join(shares)}"


def jobs_text(count: int) -> str:
    """Returns `1 job`, `2 jobs`."""
    return f"{count} job{'' if count == 1 else 's'}"


def duration_text(seconds: float) -> str:
    """Returns `45 s`, `12 min` or `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
