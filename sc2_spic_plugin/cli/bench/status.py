"""`status.json`: what became of each job, how long it took, and what went wrong."""

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...ops import write_atomic
from ..progress import console

__all__ = ["DONE", "FAILED", "INTERRUPTED", "NOT_RUN", "RUNNING", "SKIPPED", "WAITING", "JobStatus", "Status"]

FILE = "status.json"
WAITING, RUNNING, DONE, FAILED, INTERRUPTED = "waiting", "running", "done", "failed", "interrupted"
NOT_RUN, SKIPPED = "not run", "skipped"


@dataclass(frozen=True)
class JobStatus:
    """What is known of a job.

    Attributes:
        state: `waiting`, `running`, `done`, `failed`, `interrupted`, `not run` (what it needs failed) or `skipped`.
        seconds: that its process took, those of the runs that it went on from included; None: not known.
        threads: CPU threads that it had.
        error: what went wrong, or why it is skipped.
        mode: in which it was last run (`Job.arguments`).
    """

    state: str = WAITING
    seconds: float | None = None
    threads: int | None = None
    error: str | None = None
    mode: str | None = None


@dataclass
class Status:
    """The states of a suite's jobs and of the timing of their points (`costs`), on disk after every change."""

    out: Path
    suite: str
    jobs: dict[str, JobStatus] = field(default_factory=dict)
    costs: dict[str, JobStatus] = field(default_factory=dict)
    _warned: bool = False

    @classmethod
    def load(cls, out: Path, suite: str) -> "Status":
        """Reads the file of a folder; one that cannot be read is said to be, and costs durations and errors alone."""
        path = out / FILE
        if not path.is_file():
            return cls(out, suite)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            jobs, costs = (
                {name: JobStatus(**entry) for name, entry in entries.items()}
                for entries in (content["jobs"], content.get("costs", {}))
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            console.print(f"{path} cannot be read, durations of earlier runs are forgotten: {error}", soft_wrap=True)
            return cls(out, suite)
        return cls(out, suite, jobs, costs)

    def of(self, name: str) -> JobStatus:
        """Returns the status of a job."""
        return self.jobs.get(name, JobStatus())

    def set(self, name: str, **changes: Any) -> None:
        """Changes the status of a job and writes the file; a full disk costs the file alone, and is said once."""
        self.jobs[name] = dataclasses.replace(self.of(name), **changes)
        self.save()

    def costs_of(self, name: str) -> JobStatus:
        """Returns what became of the timing of a job's points."""
        return self.costs.get(name, JobStatus())

    def set_costs(self, name: str, **changes: Any) -> None:
        """Changes what is known of the timing of a job's points and writes the file, as `set` does."""
        self.costs[name] = dataclasses.replace(self.costs_of(name), **changes)
        self.save()

    def save(self) -> None:
        """Writes the file whole or not at all."""
        content = {
            "suite": self.suite,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "jobs": {name: dataclasses.asdict(status) for name, status in self.jobs.items()},
            "costs": {name: dataclasses.asdict(status) for name, status in self.costs.items()},
        }
        try:
            write_atomic(self.out / FILE, json.dumps(content, indent=1) + "\n")
            self._warned = False
        except OSError as error:
            if not self._warned:
                console.print(f"{self.out / FILE} cannot be written: {error}", soft_wrap=True)
            self._warned = True
