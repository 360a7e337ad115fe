"""Released frequency tables: which symbol occurred how often over the training set."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, TableError
from .plain_pickle import MAX_BYTES, RefusedPickleError, read_plain_pickle

__all__ = ["read_frequencies"]

_TOLERANCE = 4 * float(np.finfo(np.float32).eps)
"""Relative; the keys are float32 products of a float32 step."""
_LARGEST = int(np.iinfo(np.int32).max)


def read_frequencies(path: str | Path, step: float) -> dict[int, int]:
    """Reads a pickled table {multiple of the step: count} without running anything in it.

    Args:
        path: the pickle.
        step: quantiser step Q of the table's unit.

    Returns:
        symbol -> count, ascending; a symbol is the multiple divided by the step, 0 or more.

    Raises:
        TableError: the file is missing, truncated, or holds anything but a dictionary of numbers (the offending name
            is given); its keys are no multiples of the step; a count is not a positive whole number.
        ConfigError: the step is no positive number.
    """
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step) or step <= 0:
        raise ConfigError(f"step must be a positive number, got {step!r}")
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TableError(f"the table {path} cannot be read ({error.strerror}): copy it again") from error
    if not data:
        raise TableError(f"the table {path} is empty: copy it again")
    try:
        content = read_plain_pickle(data)
    except RefusedPickleError as error:
        raise TableError(f"the table {path} is refused: {error}. Take the released file, or copy it again") from error
    try:
        return _symbol_counts(content, float(step))
    except TableError as error:
        raise TableError(f"the table {path}: {error}") from error


def _symbol_counts(content: dict[Any, Any], step: float) -> dict[int, int]:
    """Turns multiples of the step into symbols, and checks both."""
    if not content:
        raise TableError("it is empty; a unit needs the counts of its symbols")
    counts: dict[int, int] = {}
    for key, count in content.items():
        symbol = _symbol(key, step)
        if isinstance(count, bool) or not math.isfinite(count) or count != int(count) or count < 1:
            raise TableError(f"the count of {key:g} is {count!r}; counts are positive whole numbers")
        if symbol in counts:
            raise TableError(f"two keys mean symbol {symbol} at step {step:g}: a table for another step")
        counts[symbol] = int(count)
    divisor = math.gcd(*counts)
    if divisor > 1:
        raise TableError(
            f"each key is a multiple of {divisor} steps of {step:g}: a table for another step ({divisor * step:g}?)"
        )
    return dict(sorted(counts.items()))


def _symbol(key: Any, step: float) -> int:
    if isinstance(key, bool) or not math.isfinite(key):
        raise TableError(f"the key {key!r} is no number")
    if key < 0:
        raise TableError(f"the key {key:g} is negative, which a rectified latent never is: not a table of a unit")
    symbol = round(key / step)
    if symbol > _LARGEST:
        raise TableError(f"the key {key:g} is no 32-bit symbol at step {step:g}: a table for another step")
    if abs(key - symbol * step) > _TOLERANCE * max(key, step):
        raise TableError(f"the key {key:g} is no multiple of step {step:g}: a table for another step")
    return symbol
