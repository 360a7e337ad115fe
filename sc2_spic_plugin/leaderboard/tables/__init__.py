"""The leaderboard as a table: Markdown, CSV, console."""

from .cells import (
    DASH,
    MINUS,
    Column,
    Rows,
    make_rows,
    number,
    point_accuracy,
    rate,
    signed,
    signed_range,
    significant,
    without_empty_columns,
)
from .csv_table import render_csv
from .render import escape_markdown, footer, markdown_table, render_console, render_markdown, timed_on

__all__ = [
    "DASH",
    "MINUS",
    "Column",
    "Rows",
    "escape_markdown",
    "footer",
    "make_rows",
    "markdown_table",
    "number",
    "point_accuracy",
    "rate",
    "render_console",
    "render_csv",
    "render_markdown",
    "signed",
    "signed_range",
    "significant",
    "timed_on",
    "without_empty_columns",
]
