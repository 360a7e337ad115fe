"""Tables over many result files, in Markdown and for the console; one table per protocol, data set and network."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...errors import DataError
from ..results import Point, ResultFile, group_results
from .cells import Rows
from .rows import OPTIONAL_COLUMNS, RATIO_TO, build_rows

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["escape_markdown", "footer", "markdown_table", "render_console", "render_markdown", "timed_on"]


def render_markdown(results: Sequence[ResultFile], ratio_to: Sequence[str] = RATIO_TO) -> str:
    """Returns one Markdown table per group of comparable results, each under a list of what its numbers mean.

    Args:
        results: any number of files; those of different protocols, data sets or networks never share a table.
        ratio_to: methods that get a ratio column where the group has them.

    Raises:
        DataError: there is nothing to show.
    """
    _check(results)
    parts = []
    for group, members in group_results(results).items():
        table = markdown_table(build_rows(members, ratio_to))
        parts.append(f"## {escape_markdown(group.heading)}\n\n{table}\n\n{footer(members)}")
    return "\n\n".join(parts) + "\n"


def markdown_table(rows: Rows) -> str:
    """Returns a table under a list of what its columns mean."""
    lines = [f"- **{heading}**: {meaning}" for heading, meaning in zip(rows.headings, rows.meanings, strict=True)]
    lines += ["", _line(rows.headings), _line(["---:" if numeric else "---" for numeric in rows.numeric])]
    lines += [_line([escape_markdown(cell) for cell in cells]) for cells in rows.cells]
    return "\n".join(lines)


def render_console(
    results: Sequence[ResultFile], ratio_to: Sequence[str] = RATIO_TO, width: int | None = None
) -> "list[Table]":
    """Returns one `rich` table per group of comparable results.

    Args:
        results: as for `render_markdown`.
        ratio_to: as for `render_markdown`.
        width: characters on a line; columns that do not fit are left out, the least needed first, and named below
            the table. None keeps all.

    Raises:
        DataError: there is nothing to show.
    """
    from rich.table import Table
    from rich.text import Text

    _check(results)
    tables = []
    for group, members in group_results(results).items():
        rows, dropped = _fit(build_rows(members, ratio_to), width)
        notes = [f"{name}: {meaning}" for name, meaning in zip(rows.headings, rows.meanings, strict=True)]
        notes += [f"Left out for lack of width: {', '.join(dropped)}."] if dropped else []
        caption = Text("\n".join([*notes, footer(members)]))
        table = Table(title=Text(group.heading), caption=caption, caption_justify="left")
        for heading, numeric in zip(rows.headings, rows.numeric, strict=True):
            table.add_column(Text(heading), justify="right" if numeric else "left", no_wrap=heading != "Method")
        previous = None
        for cells in rows.cells:
            if previous is not None and cells[0] != previous:
                table.add_section()
            previous = cells[0]
            table.add_row(*(Text(cell) for cell in cells))
        tables.append(table)
    return tables


def _fit(rows: Rows, width: int | None) -> tuple[Rows, list[str]]:
    """Leaves out columns until the table fits; the method column may wrap, so it counts 20 characters at most."""
    dropped: list[str] = []
    ratios = [heading for heading in rows.headings if heading.endswith("÷ this")]
    extras = [column.heading for column in OPTIONAL_COLUMNS if column.heading in rows.headings]
    for name in [*reversed(ratios[1:]), *reversed(extras), "Code B", "Encoder KB", *ratios[:1], "Harness KB"]:
        columns = zip(*([rows.headings, *rows.cells]), strict=True)
        wide = [max(len(cell) for cell in column) for column in columns]
        if width is None or min(wide[0], 20) + sum(wide[1:]) + 3 * len(wide) + 1 <= width:
            break
        keep = [index for index, heading in enumerate(rows.headings) if heading != name]
        cells = [[row[index] for index in keep] for row in rows.cells]
        headings, meanings, numeric = ([column[index] for index in keep] for column in rows[:3])
        rows = Rows(headings, meanings, numeric, cells)  # type: ignore[arg-type]
        dropped.append(name)
    return rows, dropped


def _check(results: Sequence[ResultFile]) -> None:
    if not any(result.points for result in results):
        raise DataError("There is no point to show; evaluate a method first.")


def footer(members: Sequence[ResultFile]) -> str:
    """Returns what holds for all rows of a group: kind of bits, images, code versions, where times were taken."""
    points = [point for result in members for point in result.points]
    samples = sorted({str(result.meta.samples) for result in members if result.meta.samples is not None})
    versions = sorted({result.meta.code_version for result in members})
    bits = "Bits are measured on decoded data" + (
        "." if all(result.meta.bits == "measured" for result in members) else ", except where a row says otherwise."
    )
    return f"{bits} Images: {', '.join(samples) or 'not stated'}. Code: {', '.join(versions)}.{timed_on(points)}"


def timed_on(points: Iterable[Point]) -> str:
    """Returns where latencies were measured, as a sentence; an empty text where none was."""
    timed = [point.extra for point in points if point.encode_ms is not None]
    places = {
        f"{extra.get('timing_device', 'not stated')}, {extra.get('timing_threads', '?')} threads" for extra in timed
    }
    return f" Times: on {'; '.join(sorted(places))}." if places else ""


def escape_markdown(text: str) -> str:
    """Returns text on one line without signs that a Markdown table, or HTML in it, would read."""
    escaped = " ".join(text.splitlines()).replace("|", "\\|").replace("*", "\\*")
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
