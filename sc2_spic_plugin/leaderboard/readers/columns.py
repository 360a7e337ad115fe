"""Columns of numbers in somebody else's JSON: lists of one length, every value finite."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError

__all__ = ["number_columns", "unit_names"]

_UNITS = ("unit", "checkpoint", "quality", "qp", "q")


def number_columns(values: Mapping[str, Any], path: Path) -> dict[str, list[float]]:
    """Returns the columns that hold numbers, as many as there are rates.

    Raises:
        DataError: no list `bpp`, columns of different lengths, or a value that is not finite; the message names it.
    """
    rates = values.get("bpp")
    if not isinstance(rates, list) or not rates:
        raise DataError(f"{path} has no list `bpp` of bits per pixel.")
    columns: dict[str, list[float]] = {}
    for name, column in values.items():
        if not isinstance(column, list) or not all(_is_number(value) for value in column):
            continue
        if len(column) != len(rates):
            raise DataError(f"{path}: `{name}` has {len(column)} entries, `bpp` {len(rates)}.")
        for index, value in enumerate(column):
            if not math.isfinite(value):
                raise DataError(f"{path}: {name}[{index}] is {value}; leave out the point that failed.")
        columns[name] = [float(value) for value in column]
    if "bpp" not in columns:
        raise DataError(f"{path}: `bpp` holds something that is no number.")
    return columns


def unit_names(values: Mapping[str, Any], count: int) -> list[str]:
    """Returns a name for each point: its checkpoint or quality where the file has one, else its number."""
    for name in _UNITS:
        column = values.get(name)
        if isinstance(column, list) and len(column) == count and len(set(map(str, column))) == count:
            return [value.removesuffix(".pt") if isinstance(value, str) else f"q{value:g}" for value in column]
    return [f"p{index}" for index in range(count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
