"""One thing that a submission lacks."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Item", "listed"]

_SHOWN = 6


class Item(NamedTuple):
    """What is missing or wrong, and what to do about it.

    Attributes:
        what: the finding.
        to_do: the remedy.
        is_required: whether there is no entry without it; else it is advice.
    """

    what: str
    to_do: str
    is_required: bool = True


def listed(units: Sequence[str], total: int) -> str:
    """Returns which points a finding is about: `every point`, or their names."""
    if len(units) == total:
        return "every point" if total > 1 else f"point {units[0]}"
    shown = ", ".join(units[:_SHOWN]) + (f" and {len(units) - _SHOWN} more" if len(units) > _SHOWN else "")
    return f"point{'s' if len(units) > 1 else ''} {shown}"
