"""Which format a file has, and reading it."""

import json
from pathlib import Path
from typing import Any

from ...errors import DataError
from .compressai_json import HARNESS as COMPRESSAI
from .compressai_json import looks_like_compressai, read_compressai
from .edge_cloud_rac import HARNESS as EDGE_CLOUD_RAC
from .edge_cloud_rac import looks_like_edge_cloud_rac, read_edge_cloud_rac
from .reported import ReportedCurve
from .sc2bench_log import HARNESS as SC2BENCH
from .sc2bench_log import looks_like_log, read_sc2bench_log

__all__ = ["FORMATS", "detect_format", "read_reported"]

FORMATS = {
    SC2BENCH: "run log of sc2bench's scripts (`--run_log`, or what they print)",
    COMPRESSAI: "CompressAI's JSON with an accuracy column",
    EDGE_CLOUD_RAC: "results/*.json of edge-cloud-rac",
}
"""What is read, by the harness that writes it."""


def detect_format(path: Path) -> str | None:
    """Returns the key of `FORMATS` that a file has; None if it has none of them.

    Raises:
        DataError: it is not there.
    """
    text = _text(path)
    document = _document(text)
    if looks_like_compressai(document):
        return COMPRESSAI
    if looks_like_edge_cloud_rac(document):
        return EDGE_CLOUD_RAC
    return SC2BENCH if document is None and looks_like_log(text) else None


def read_reported(path: Path, fractions: bool | None = None) -> ReportedCurve:
    """Reads what a file of somebody else's harness reports.

    Args:
        path: the file.
        fractions: whether its accuracies are fractions; None: what the format says, and an error where it says nothing.

    Raises:
        DataError: absent, of no known format, or without something that a point needs; the message names it.
    """
    found = detect_format(path)
    if found == SC2BENCH:
        return read_sc2bench_log(path)
    if found is None:
        listed = "; ".join(FORMATS.values())
        raise DataError(f"{path} is of no format that is read here. Read are: {listed}.")
    reader = {COMPRESSAI: read_compressai, EDGE_CLOUD_RAC: read_edge_cloud_rac}[found]
    return reader(_document(_text(path)), path, fractions)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _document(text: str) -> Any:
    """Returns the JSON document, or None where the text is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
