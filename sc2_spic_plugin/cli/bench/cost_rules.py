"""Which finished points still have to be timed: those without costs, timed by other rules, or to be timed again."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from ...configs.plain import load_plain
from ...errors import ConfigError
from ...leaderboard import Point, Protocol, ResultFile, load_protocol
from ...ops import write_atomic
from .cost_columns import COST_FIELDS
from .job import RESULT, Job

__all__ = ["ASKED", "ask_again", "asked_at", "forget_asking", "now", "timing_protocol", "untimed_points", "why_costs"]

ASKED = "redo_costs"
"""In a job's folder: until when its points' costs do not count; it goes when all are measured again."""


def now() -> str:
    """Returns the time as `timing_date` has it: ISO 8601, UTC, so that texts compare as times do."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def timing_protocol(config: str, named: str | None) -> Protocol:
    """Returns the protocol by whose rules a job's points are timed.

    Args:
        config: text of its config.
        named: name or path of a protocol that takes the place of the config's.

    Raises:
        ConfigError: there is none.
    """
    name = named or (load_plain(config).get("result") or {}).get("protocol")
    if name is None:
        raise ConfigError("the config names no protocol; add `result: {protocol: ...}`.")
    return load_protocol(name)


def why_costs(job: Job, again: bool = False) -> str | None:
    """Returns why points of a job that has its result are to be timed; None if none is.

    Args:
        job: the job.
        again: all points are to be timed again.

    Raises:
        SpicError: its result or its protocol cannot be read.
    """
    result = ResultFile.load(job.folder / RESULT)
    protocol = timing_protocol(job.text, job.settings.protocol)
    problems = Counter(untimed_points(result, protocol, now() if again else asked_at(job.folder)).values())
    if len(result.points) == 1:
        return next(iter(problems), None)
    return "; ".join(f"{count} of {len(result.points)} points {problem}" for problem, count in problems.items()) or None


def untimed_points(result: ResultFile, protocol: Protocol, since: str | None = None) -> dict[str, str]:
    """Returns the points of a job's result that are to be timed, by unit, and why.

    Args:
        result: of the job.
        protocol: says how latency is measured.
        since: costs measured until then do not count, nor those of an unknown time.
    """
    problems = {point.unit: _problem(point, protocol, since) for point in result.points}
    return {unit: problem for unit, problem in problems.items() if problem is not None}


def _problem(point: Point, protocol: Protocol, since: str | None) -> str | None:
    if any(getattr(point, name) is None for name in COST_FIELDS):
        return "without costs"
    rules = {"batch_size": protocol.timing.batch_size, "repeats": protocol.timing.repeats, "threads": protocol.threads}
    for name, wanted in rules.items():
        found = point.extra.get(f"timing_{name}")
        if wanted is not None and found != wanted:
            return f"timed with {name} {found}, the protocol says {wanted}"
    place, device = str(point.extra.get("timing_device")), protocol.device.partition(":")[0]
    if place.partition(" ")[0] != device:  # a GPU's name follows
        return f"timed on {place}, the protocol says {device}"
    if since is not None and str(point.extra.get("timing_date", "")) <= since:
        return "to be timed again"
    return None


def ask_again(job: Job) -> None:
    """Notes that the points of a job are to be timed again; what was asked before and stopped half-way is gone on with.

    Raises:
        SpicError: its result or its protocol cannot be read.
        OSError: the disk is full or the folder cannot be written.
    """
    if asked_at(job.folder) is None or why_costs(job) is None:
        write_atomic(job.folder / ASKED, now())


def asked_at(folder: Path) -> str | None:
    """Returns until when the costs of a job's points do not count; None if nobody asked for them again."""
    try:
        return (folder / ASKED).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def forget_asking(job: Job) -> None:
    """Notes that the points were timed again."""
    (job.folder / ASKED).unlink(missing_ok=True)
