"""The per-image table beside a result file: what each image cost, and whether or where it was right."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ...ops import write_atomic

__all__ = [
    "ImageRow",
    "PerImageOverlap",
    "PerImageRow",
    "parse_lines",
    "per_image_csv_path",
    "read_overlap_csv",
    "read_per_image_csv",
    "table_lines",
    "write_per_image_csv",
]


class PerImageRow(NamedTuple):
    """One image at one operating point, classified."""

    image: str
    payload_bytes: int
    correct: bool


class PerImageOverlap(NamedTuple):
    """One image at one operating point, segmented: pixels per class, void apart.

    Attributes:
        image: its id.
        payload_bytes: what it cost.
        intersection: pixels that mask and prediction both give the class.
        union: pixels that one of them gives the class.
        labelled: pixels that the mask gives the class.
    """

    image: str
    payload_bytes: int
    intersection: tuple[int, ...]
    union: tuple[int, ...]
    labelled: tuple[int, ...]

    @staticmethod
    def header(classes: int) -> list[str]:
        """Returns the column names: `image,payload_bytes,intersection_0,...,union_0,...,labelled_0,...`."""
        counts = [f"{count}_{index}" for count in PerImageOverlap._fields[2:] for index in range(classes)]
        return ["image", "payload_bytes", *counts]


ImageRow = PerImageRow | PerImageOverlap


def per_image_csv_path(result_path: str | Path, unit: str) -> Path:
    """Returns where the per-image table of one point lies: `spic.json`, `u3` -> `spic.u3.csv`.

    Raises:
        DataError: a unit name that would leave the folder.
    """
    if not unit or any(sign in unit for sign in "/\\\0"):
        raise DataError(f"The unit name {unit!r} cannot be part of a file name.")
    path = Path(result_path)
    return path.with_name(f"{path.stem}.{unit}.csv")


def table_lines(rows: Iterable[ImageRow | tuple[str, int, bool]]) -> list[list[str | int]]:
    """Returns the lines of a table, its header first.

    Raises:
        DataError: an image that is there twice, or a negative size.
    """
    rows = list(rows)
    first = rows[0] if rows else None
    overlaps = isinstance(first, PerImageOverlap)
    lines: list[list[str | int]] = [
        list(PerImageOverlap.header(len(first.union)) if overlaps else PerImageRow._fields)  # type: ignore[union-attr]
    ]
    seen: set[str] = set()
    for row in rows:
        image, payload_bytes, *rest = row
        if str(image) in seen:
            raise DataError(f"Image `{image}` is there twice; a padded batch must not be counted.")
        if int(payload_bytes) < 0:
            raise DataError(f"Image `{image}` has a negative size.")
        seen.add(str(image))
        cells = [int(count) for counts in rest for count in counts] if overlaps else [int(bool(rest[0]))]  # type: ignore[union-attr]
        lines.append([str(image), int(payload_bytes), *cells])
    return lines


def write_per_image_csv(path: str | Path, rows: Iterable[ImageRow | tuple[str, int, bool]]) -> Path:
    """Writes one line per image, whole or not at all: `image,payload_bytes,correct` (1 or 0), or counts per class.

    Raises:
        DataError: an image that is there twice, or a negative size.
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(table_lines(rows))
    return write_atomic(path, buffer.getvalue())


def _lines(path: str | Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8"))))
    except FileNotFoundError as error:
        raise DataError(f"There is no per-image table at {path}.") from error


def read_per_image_csv(path: str | Path) -> list[PerImageRow]:
    """Reads the table of a classification back.

    Raises:
        DataError: absent, other columns, or an entry that is not a number; the message names the line.
    """
    return _rows(_lines(path), path)


def read_overlap_csv(path: str | Path) -> list[PerImageOverlap]:
    """Reads the table of a segmentation back.

    Raises:
        DataError: absent, other columns, or an entry that is not a number; the message names the line.
    """
    return _overlaps(_lines(path), path)


def parse_lines(lines: Sequence[Sequence[str]], metric: str, where: str | Path) -> Sequence[ImageRow]:
    """Returns the rows of a table that was read as text.

    Args:
        lines: header and rows.
        metric: `top1` or `miou`.
        where: they were read from, for messages.

    Raises:
        DataError: other columns, or an entry that is not a number; the message names the line.
    """
    return _rows(lines, where) if metric == "top1" else _overlaps(lines, where)


def _rows(lines: Sequence[Sequence[str]], path: str | Path) -> list[PerImageRow]:
    if not lines or tuple(lines[0]) != PerImageRow._fields:
        raise DataError(f"{path}: the first line must be {','.join(PerImageRow._fields)}.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            image, payload_bytes, correct = line
            rows.append(PerImageRow(image, int(payload_bytes), {"0": False, "1": True}[correct]))
        except (ValueError, KeyError) as error:
            raise DataError(f"{path}, line {number}: expected image, bytes and 0 or 1, got {line}.") from error
    return rows


def _overlaps(lines: Sequence[Sequence[str]], path: str | Path) -> list[PerImageOverlap]:
    classes = (len(lines[0]) - 2) // 3 if lines else 0
    if not lines or list(lines[0]) != PerImageOverlap.header(classes):
        raise DataError(f"{path}: the first line must be {','.join(PerImageOverlap.header(1))} and so on.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            image, payload_bytes, *counts = line
            numbers = [int(count) for count in counts]
            if len(numbers) != 3 * classes:
                raise ValueError
            parts = [tuple(numbers[start : start + classes]) for start in range(0, 3 * classes, classes)]
            rows.append(PerImageOverlap(image, int(payload_bytes), *parts))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: expected image, bytes and {3 * classes} counts.") from error
    return rows
