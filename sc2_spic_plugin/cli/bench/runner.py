"""What runs a job, as the schedule sees it."""

from typing import NamedTuple, Protocol

from .job import Job

__all__ = ["Ended", "Runner", "Running"]


class Ended(NamedTuple):
    """How a job ended: with an error for a reader, or with None."""

    error: str | None


class Running(Protocol):
    """A job that was started."""

    def poll(self) -> Ended | None:
        """Returns how it ended, or None while it runs."""

    def interrupt(self) -> None:
        """Asks it to end soon."""

    def stop(self) -> None:
        """Returns when it has ended, with whatever it started."""


class Runner(Protocol):
    """Starts jobs.

    Attributes:
        threads: CPU threads that each has; None: not said.
    """

    threads: int | None

    def start(self, job: Job, mode: str) -> Running:
        """Starts a job whose folder is prepared; `mode` is one of `Job.arguments`.

        Raises:
            OSError: it cannot be started.
        """
