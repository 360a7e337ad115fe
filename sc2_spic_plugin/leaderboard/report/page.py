"""The HTML page: template, styles and scripts put together with the data, nothing left to load."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..comparison import Comparison, ComparisonTable, compare_all, comparison_tables
from ..published import PublishedCurve
from ..results import Group, Source, group_of
from ..tables import Rows, footer
from .data import group_data

__all__ = ["render_report"]

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = ("elements.js", "axes.js", "markers.js", "plot.js", "details.js", "points.js", "main.js")


def render_report(
    sources: Sequence[Source],
    against: Sequence[str] | None = None,
    title: str = "Rate and accuracy, measured in real bytes",
    published: Mapping[Group, Sequence[PublishedCurve]] | None = None,
) -> str:
    """Returns the page, the same text for the same results: one section per protocol, data set and network.

    Nothing is fetched: scripts, styles and data are in the page, and its content security policy allows no other.

    Args:
        sources: results with the files they came from; per-image tables beside these give the histograms.
        against: methods that every curve is compared with; None takes the usual ones that are there.
        title: heading of the page.
        published: curves drawn as published, by group.

    Raises:
        ConfigError: an anchor that no result is of.
        DataError: there is no point, or results or per-image tables contradict each other.
    """
    if not any(source.result.points for source in sources):
        raise DataError("There is no point to show; evaluate a method first.")
    comparisons = compare_all([source for source in sources if source.result.points], against)
    shown = published or {}
    data = [group_data(each, shown.get(each.group, ())) for each in comparisons]
    style = _asset("page.css")
    script = "(function () {\n'use strict';\n" + "\n".join(_asset(name) for name in _SCRIPTS) + "\n})();\n"
    sections = "\n".join(_section(number, each, sources) for number, each in enumerate(comparisons))
    contents = "\n".join(
        f'<li><a href="#group-{number}">{_text(each.group.heading)}</a></li>' for number, each in enumerate(comparisons)
    )
    parts = {
        "POLICY": f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'",
        "TITLE": _text(title),
        "STYLE": style,
        "CONTENTS": f"<nav><ul>{contents}</ul></nav>" if len(comparisons) > 1 else "",
        "SECTIONS": sections,
        "DATA": _json(data),
        "SCRIPT": script,
    }
    page = _asset("page.html")
    pieces = page.split("%%")
    return "".join(parts[piece] if index % 2 else piece for index, piece in enumerate(pieces))


def _section(number: int, comparison: Comparison, sources: Sequence[Source]) -> str:
    tables = "\n".join(_table(table) for table in comparison_tables(comparison))
    members = [each.result for each in sources if group_of(each.result) == comparison.group]
    return (
        f'<section class="group" id="group-{number}" data-group="{number}">\n'
        f"<h2>{_text(comparison.group.heading)}</h2>\n"
        f'<p class="note">{_text(footer(members))}</p>\n'
        '<div class="board"></div>\n'
        f"{tables}\n</section>"
    )


def _table(table: ComparisonTable) -> str:
    rows: Rows = table.rows
    kinds = ["number" if numeric else "text" for numeric in rows.numeric]
    head = "".join(
        f'<th class="{kind}" title="{_text(meaning)}">{_text(heading)}</th>'
        for heading, meaning, kind in zip(rows.headings, rows.meanings, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{_text(cell)}</td>' for cell, kind in zip(cells, kinds, strict=True))
        + "</tr>"
        for cells in rows.cells
    )
    meanings = "".join(
        f"<dt>{_text(heading)}</dt><dd>{_text(meaning)}</dd>"
        for heading, meaning in zip(rows.headings, rows.meanings, strict=True)
    )
    return (
        f'<h3>{_text(table.title)}</h3>\n<p class="note">{_text(table.note)}</p>\n'
        f'<div class="wide"><table class="comparison"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'
        "</div>\n"
        f"<details><summary>What the columns mean</summary><dl>{meanings}</dl></details>"
    )


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    return html.escape(text.replace("`", ""), quote=True)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> str:
    """Returns JSON that cannot end the element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
