"""How tables print numbers, and what a table is before it becomes Markdown, HTML or a console table."""

from collections.abc import Sequence
from typing import NamedTuple

from ..results import CurvePoint
from ..statistics import Interval

__all__ = [
    "DASH",
    "MINUS",
    "Column",
    "Rows",
    "make_rows",
    "number",
    "point_accuracy",
    "rate",
    "signed",
    "signed_range",
    "significant",
    "without_empty_columns",
]

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


class Column(NamedTuple):
    """Heading, what it means in one line, and whether it holds numbers (right-aligned)."""

    heading: str
    meaning: str
    numeric: bool = True


class Rows(NamedTuple):
    """Headings, what each means (one line), whether numbers (right-aligned), and the cells."""

    headings: list[str]
    meanings: list[str]
    numeric: list[bool]
    cells: list[list[str]]


def make_rows(columns: Sequence[Column], cells: list[list[str]]) -> Rows:
    """Joins columns and cells."""
    headings, meanings, numeric = (list(values) for values in zip(*columns, strict=True))
    return Rows(headings, meanings, numeric, cells)


def without_empty_columns(rows: Rows) -> Rows:
    """Returns the rows without the columns in which every cell is a dash."""
    kept = [index for index in range(len(rows.headings)) if any(cells[index] != DASH for cells in rows.cells)]
    headings, meanings, numeric = ([column[index] for index in kept] for column in rows[:3])
    return Rows(headings, meanings, numeric, [[cells[index] for index in kept] for cells in rows.cells])  # type: ignore[arg-type]


def number(value: float | None, digits: int) -> str:
    """Returns a number with separators of thousands, or a dash where there is none."""
    return DASH if value is None else f"{value:,.{digits}f}"


def significant(value: float | None) -> str:
    """Returns a ratio with three significant digits, or a dash where there is none."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def signed(value: float | None, digits: int, unit: str = "") -> str:
    """Returns a number with its sign, or a dash where there is none."""
    if value is None:
        return DASH
    text = f"{abs(value):,.{digits}f}{unit}"
    return f"{MINUS if value < 0 else '+'}{text}"


def signed_range(interval: Interval | None, digits: int) -> str:
    """Returns the two ends with their signs, or a dash."""
    return DASH if interval is None else f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"


def rate(value: float | None) -> str:
    """Returns bits per image pixel with three or four significant digits, or a dash."""
    return DASH if value is None else (f"{value:.4f}" if value >= 0.01 else f"{value:#.3g}")


def point_accuracy(point: CurvePoint) -> str:
    """Returns the accuracy: of one seed with its interval in brackets, of several their mean and what they span."""
    text = f"{point.accuracy:.2f}"
    if point.error is None:
        return text
    if len(point.origins) > 1:
        return f"{text} ({point.error.low:.2f} to {point.error.high:.2f}, {len(point.origins)} seeds)"
    return f"{text} [{point.error.low:.1f}, {point.error.high:.1f}]"
