"""Running jobs: some at a time, in order, on after failures, stopped without loss."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...errors import SpicError
from ...leaderboard import ResultFile
from ...training.resume import forget_states
from .job import ORIGINAL, RESULT, Job, replaced_place
from .runner import Ended, Runner, Running
from .status import DONE, FAILED, INTERRUPTED, NOT_RUN, RUNNING, SKIPPED, WAITING, JobStatus, Status
from .verdict import HOLD, KEEP, MEASURE, REDO, RESUME, SKIP, TRAIN, Verdict, judge

__all__ = ["Progress", "Schedule", "Summary", "judge_all"]

POLL_SECONDS = 0.2
NOTE_SECONDS = 30.0


class Progress(Protocol):
    """What is told while jobs run."""

    def started(self, job: Job, verdict: Verdict) -> None:
        """A job was started."""

    def ended(self, job: Job, status: JobStatus, verdict: Verdict | None) -> None:
        """A job is done, failed or will not be run; `verdict` where nothing had to be run."""

    def waiting(self, running: Sequence[tuple[Job, float]], left: Sequence[Job]) -> None:
        """Jobs are running, each for so many seconds; others are left."""


@dataclass(frozen=True)
class Summary:
    """What became of the jobs, by name with the reason."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass
class _Started:
    job: Job
    running: Running
    began: float
    before: float
    noted: float


class Schedule:
    """Runs jobs some at a time; each is judged when its turn comes, so that what changed meanwhile counts.

    Args:
        jobs: in the order in which they are begun.
        runner: starts them.
        status: kept on disk after every change.
        progress: is told what happens.
        on_result: called after a job has added a result.
        at_a_time: how many run at a time.
        redo_stale: do points of other code again.
        clock: seconds.
        sleep: waits for seconds.

    Attributes:
        summary: what has become of the jobs so far.
        begun: names of those that were started: what they had before no longer counts.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        runner: Runner,
        status: Status,
        progress: Progress,
        on_result: Callable[[Job], None] = lambda _job: None,
        at_a_time: int = 1,
        redo_stale: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._jobs, self._runner, self._status, self._progress = list(jobs), runner, status, progress
        self._left = list(jobs)
        self._on_result, self._at_a_time, self._redo_stale = on_result, at_a_time, redo_stale
        self._clock, self._sleep = clock, sleep
        self._started: list[_Started] = []
        self.summary = Summary()
        self.begun: set[str] = set()

    def run(self) -> Summary:
        """Runs all jobs to their end.

        Raises:
            KeyboardInterrupt: after all processes were ended; what they had saved stays, and the status says so.
        """
        try:
            while self._left or self._started:
                self._begin()
                self._end()
                if self._started:
                    now = self._clock()
                    running = [(each.job, each.before + now - each.began) for each in self._started]
                    self._progress.waiting(running, self._left)
                    self._sleep(POLL_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self.summary

    def _begin(self) -> None:
        """Starts as many of the jobs that are left as there is room for, in their order."""
        for job in list(self._left):
            if len(self._started) < self._at_a_time and not self._waits(job):
                self._left.remove(job)
                self._start(job)

    def _is_lost(self, name: str) -> bool:
        return name in self.summary.failed or name in self.summary.not_run

    def _waits(self, job: Job) -> bool:
        pending = {each.name for each in self._left} | {each.job.name for each in self._started}
        return any(name in pending for name in job.needs)

    def _start(self, job: Job) -> None:
        before = self._status.of(job.name)
        try:
            verdict = judge_all(self._jobs, self._status, self._redo_stale, job)[job.name]
            if verdict.action == SKIP:
                self._close(job, SKIPPED, verdict.reason, verdict)
                return
            if verdict.action == HOLD:
                self._close(job, NOT_RUN, f"{verdict.reason}; --redo-stale puts that aside and begins anew", verdict)
                return
            if verdict.action == KEEP:
                self._close(job, DONE, None, verdict)
                return
            lost = next((name for name in job.needs if self._is_lost(name)), None)
            if lost is not None:
                self._close(job, NOT_RUN, f"it needs `{lost}`, which has no result", verdict)
                return
            self.begun.add(job.name)
            if verdict.action in (REDO, MEASURE):
                put_aside(job, result_only=verdict.action == MEASURE)
            mode = TRAIN if verdict.action == REDO else verdict.action
            had = (before.seconds or 0.0) if mode == RESUME else 0.0
            job.prepare()
            self._status.set(job.name, state=RUNNING, mode=mode, seconds=had, threads=self._runner.threads, error=None)
            self._progress.started(job, verdict)
            began = self._clock()
            self._started.append(_Started(job, self._runner.start(job, mode), began, had, began))
        except (SpicError, OSError) as error:
            self._close(job, FAILED, str(error))

    def _end(self) -> None:
        """Looks after the jobs that run."""
        for each in list(self._started):
            ended, now = each.running.poll(), self._clock()
            seconds = each.before + now - each.began
            if ended is not None:
                self._started.remove(each)
                self._status.set(each.job.name, seconds=seconds)
                self._finish(each.job, ended)
            elif now - each.noted >= NOTE_SECONDS:  # so that a killed suite knows how long its jobs had run
                each.noted = now
                self._status.set(each.job.name, seconds=seconds)

    def _finish(self, job: Job, ended: Ended) -> None:
        error = ended.error
        if error is None:
            verdict = judge(job, network_digest(job.settings.out))
            if verdict.action != KEEP:
                error = f"it ended without a result that holds ({verdict.reason or 'there is none'}); see {job.log}"
        if error is not None:
            self._close(job, FAILED, error)
            return
        forget_states(job.folder)
        self._close(job, DONE)
        self._on_result(job)

    def _close(self, job: Job, state: str, reason: str | None = None, verdict: Verdict | None = None) -> None:
        self._status.set(job.name, state=state, error=reason)
        if state == DONE:
            self.summary.done.append(job.name)
        else:
            reasons = {FAILED: self.summary.failed, NOT_RUN: self.summary.not_run, SKIPPED: self.summary.skipped}
            reasons[state][job.name] = reason or ""
        self._progress.ended(job, self._status.of(job.name), verdict)

    def _stop(self) -> None:
        """Ends all processes."""
        for each in self._started:
            each.running.interrupt()
        for each in self._started:
            each.running.stop()
            seconds = each.before + self._clock() - each.began
            self._status.set(each.job.name, state=INTERRUPTED, seconds=seconds)
        for job in self._left:
            if job.name not in self._status.jobs:
                self._status.set(job.name, state=WAITING)


def judge_all(
    jobs: Sequence[Job], status: Status, redo_stale: bool = False, only: Job | None = None
) -> dict[str, Verdict]:
    """Returns what would be done now with each job, or with one of them, by name.

    A feature store is built only for jobs that have to be run.
    """
    network = network_digest(jobs[0].settings.out) if jobs else None

    def of(job: Job) -> Verdict:
        if job.builds is not None:
            users = [of(other).action for other in jobs if job.name in other.needs]
            if all(action in (KEEP, HOLD, SKIP, MEASURE) for action in users):
                return Verdict(KEEP, "" if job.store and job.store.is_dir() else "nothing needs it any more")
        return judge(job, network, status.of(job.name), redo_stale)

    return {job.name: of(job) for job in (jobs if only is None else [only])}


def network_digest(out: Path) -> str | None:
    """Returns the digest of a suite's original network as it was measured; None before that."""
    try:
        return ResultFile.load(out / "points" / ORIGINAL / RESULT).meta.network_sha256
    except SpicError:
        return None


def put_aside(job: Job, result_only: bool = False) -> Path | None:
    """Moves what a job's folder holds to `replaced`, so that nothing is overwritten; returns where it is now.

    Args:
        job: the job.
        result_only: leave config and checkpoint.
    """
    target = replaced_place(job.settings.out, job.name.replace("/", "."))
    if not result_only:
        if not job.folder.exists():
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        job.folder.rename(target)
        return target
    files = [path for path in job.folder.glob("result.*") if path.is_file()]
    if not files:
        return None
    target.mkdir(parents=True)
    for path in files:
        path.rename(target / path.name)
    return target
