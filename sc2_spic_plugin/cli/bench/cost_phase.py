"""Timing the points of a suite: after all its jobs, one job after the other, nothing of the suite running beside."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...errors import SpicError
from .cost_rules import ask_again, forget_asking, timing_protocol, why_costs
from .job import COSTS, Job
from .runner import Ended, Runner, Running
from .status import DONE, FAILED, INTERRUPTED, RUNNING, JobStatus, Status
from .verdict import HOLD, KEEP, SKIP, Verdict

__all__ = ["CostPhase", "CostProgress", "CostSummary", "planned_costs"]

POLL_SECONDS = 0.5


class CostProgress(Protocol):
    """What is told while points are timed."""

    def timing(self, jobs: Sequence[Job]) -> None:
        """The points of these jobs are going to be timed."""

    def timed(self, job: Job, status: JobStatus) -> None:
        """The points of a job were timed, or that failed."""


@dataclass(frozen=True)
class CostSummary:
    """Names of the jobs whose points were timed, and why others could not be."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class CostPhase:
    """Times the points that lack their costs; a failure stops no other.

    Args:
        runner: starts one job at a time, with the mode `costs`.
        status: kept on disk after every change.
        progress: is told what happens.
        again: time all points again.
        clock: seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        runner: Runner,
        status: Status,
        progress: CostProgress,
        again: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runner, self._status, self._progress = runner, status, progress
        self._again, self._clock, self._sleep = again, clock, sleep
        self._summary = CostSummary()

    def run(self, jobs: Sequence[Job], on_result: Callable[[Job], None]) -> CostSummary:
        """Times the points of jobs that have their results.

        Args:
            jobs: in the order in which they are timed.
            on_result: called after each, whose result may have got costs.

        Raises:
            KeyboardInterrupt: after the process was ended; the points that were timed stay so.
        """
        wanted = [job for job in jobs if job.builds is None and self._is_wanted(job)]
        if wanted:
            self._progress.timing(wanted)
        for job in wanted:
            try:
                error = self._time(job)
            except (SpicError, OSError) as problem:
                error = str(problem)
            self._close(job, error)
            on_result(job)
        return self._summary

    def _is_wanted(self, job: Job) -> bool:
        try:
            if self._again:
                ask_again(job)
            return why_costs(job) is not None
        except (SpicError, OSError) as error:
            self._close(job, str(error))
            return False

    def _time(self, job: Job) -> str | None:
        """Times the points of a job; returns what went wrong."""
        threads = timing_protocol(job.text, job.settings.protocol).threads
        job.prepare()
        self._status.set_costs(job.name, state=RUNNING, seconds=None, threads=threads, error=None)
        began = self._clock()
        running = self._runner.start(job, COSTS)
        try:
            ended = self._end_of(running)
        except BaseException:
            running.interrupt()
            running.stop()
            self._status.set_costs(job.name, state=INTERRUPTED)
            raise
        self._status.set_costs(job.name, seconds=self._clock() - began)
        if ended.error is not None:
            return ended.error
        missing = why_costs(job)
        if missing is not None:
            return f"it ended without them ({missing}); see {job.log}"
        forget_asking(job)
        return None

    def _end_of(self, running: Running) -> Ended:
        while (ended := running.poll()) is None:
            self._sleep(POLL_SECONDS)
        return ended

    def _close(self, job: Job, error: str | None) -> None:
        self._status.set_costs(job.name, state=DONE if error is None else FAILED, error=error)
        if error is None:
            self._summary.done.append(job.name)
        else:
            self._summary.failed[job.name] = error
        self._progress.timed(job, self._status.costs_of(job.name))


def planned_costs(jobs: Sequence[Job], verdicts: Mapping[str, Verdict], again: bool = False) -> dict[str, str]:
    """Returns by name which jobs' points will be timed after all jobs have ended, and why where they have a result.

    Args:
        jobs: those that are looked at.
        verdicts: what will be done with each.
        again: all points are to be timed again.
    """
    planned: dict[str, str] = {}
    for job in jobs:
        action = verdicts[job.name].action
        if job.builds is not None or action in (HOLD, SKIP):
            continue
        try:
            reason = why_costs(job, again) if action == KEEP else ""
        except SpicError as error:
            reason = str(error)
        if reason is not None:
            planned[job.name] = reason
    return planned
