"""Errors a user can meet, each saying what to do, and the nearest-name hint they share."""

import difflib
from collections.abc import Iterable

__all__ = [
    "BitstreamError",
    "CheckpointError",
    "ConfigError",
    "CutError",
    "DataError",
    "SpicError",
    "TableError",
    "TrainingError",
    "nearest",
]


class SpicError(Exception):
    """Base of every error this package raises on purpose; the message says what to do."""


class ConfigError(SpicError, ValueError):
    """A configuration value or key that cannot be used."""


class CutError(SpicError, ValueError):
    """A network that cannot be cut at the named module."""


class TableError(SpicError, ValueError):
    """A frequency table that is empty, of another shape, or does not fit the symbols."""


class BitstreamError(SpicError, ValueError):
    """Bytes that cannot be decoded: truncated, altered, foreign or made by a newer version."""


class CheckpointError(SpicError, ValueError):
    """A checkpoint that is missing, damaged, or made for another network or split."""


class DataError(SpicError, ValueError):
    """A data set that is missing or an image that cannot be read."""


class TrainingError(SpicError, RuntimeError):
    """Training that cannot go on, for example a loss that is not finite."""


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Returns a sentence naming the known names nearest to `name`, or the known names if none is near.

    Args:
        name: what the user wrote.
        known: what would have been accepted.
        limit: how many names to offer at most.
    """
    candidates = sorted(set(known))
    matches = difflib.get_close_matches(name, candidates, n=limit, cutoff=0.5)
    if matches:
        return "Did you mean " + " or ".join(f"`{match}`" for match in matches) + "?"
    if not candidates:
        return "None is known."
    shown = ", ".join(f"`{candidate}`" for candidate in candidates[:12])
    return f"Known: {shown}{', ...' if len(candidates) > 12 else ''}."
