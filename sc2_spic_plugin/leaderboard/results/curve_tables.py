"""The per-image tables of all points of a curve in one compressed file: far less room, the same rows."""

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import DataError, nearest
from .per_image import ImageRow, parse_lines, table_lines

__all__ = ["CurveTables", "curve_tables_path", "pack_curve_tables"]

LARGEST = 1 << 28
"""Bytes of a file's text: what no table comes near, and a memory holds."""


def curve_tables_path(result_path: str | Path) -> Path:
    """Returns where the tables of a result file lie if they are packed: `spic.json` -> `spic.csv.gz`."""
    path = Path(result_path)
    return path.with_name(f"{path.stem}.csv.gz")


def pack_curve_tables(tables: Mapping[str, Sequence[ImageRow]]) -> bytes:
    """Returns the content of the file: the image ids once, and the columns of every table beside them.

        image,u1/payload_bytes,u1/correct,u2/payload_bytes,u2/correct
        a.png,24,1,60,1

    Args:
        tables: by the names under which `CurveTables.rows` gives them back; all of the same images.

    Raises:
        DataError: no table, a name that no column can have, or tables of different images.
    """
    if not tables:
        raise DataError("a curve without points has no tables to pack.")
    columns: list[list[str | int]] = []
    for name, rows in tables.items():
        if not name or "/" in name:
            raise DataError(f"a per-image table cannot be called `{name}`; rename the point.")
        header, *lines = table_lines(rows)
        by_image = {str(line[0]): line for line in lines}
        if not columns:
            columns = [["image", *by_image]]
        images = [str(image) for image in columns[0][1:]]
        if set(by_image) != set(images):
            raise DataError(f"the table `{name}` is of other images than that of `{next(iter(tables))}`.")
        for index, column in enumerate(header[1:], 1):
            columns.append([f"{name}/{column}", *(by_image[image][index] for image in images)])
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(zip(*columns, strict=True))
    return gzip.compress(buffer.getvalue().encode(), mtime=0)


class CurveTables:
    """The tables of a file, each parsed when it is asked for.

    Args:
        path: of the file.

    Raises:
        DataError: damaged, too large, or no such tables.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with gzip.open(path) as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise DataError(f"{path} holds more than {LARGEST} bytes, which no per-image tables do.")
            self._lines = list(csv.reader(io.StringIO(content.decode())))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path} cannot be read as per-image tables: {error}; copy it again.") from error
        header = self._lines[0] if self._lines else []
        self._columns: dict[str, list[int]] = {}
        for index, column in enumerate(header[1:], 1):
            name, slash, _ = column.partition("/")
            if not slash:
                raise DataError(f"{path}: a column is called `{column}`, not TABLE/COLUMN; pack the tables again.")
            self._columns.setdefault(name, []).append(index)
        for number, line in enumerate(self._lines, 1):
            if len(line) != len(header):
                raise DataError(f"{path}, line {number}: {len(line)} entries, the header has {len(header)}.")

    @property
    def names(self) -> list[str]:
        """Names of the tables."""
        return list(self._columns)

    def rows(self, name: str, metric: str) -> Sequence[ImageRow]:
        """Returns the rows of one table.

        Args:
            name: of the table.
            metric: `top1` or `miou`.

        Raises:
            DataError: no such table, or not of that metric; the message names the line.
        """
        if name not in self._columns:
            raise DataError(f"{self._path} has no table `{name}`. {nearest(name, self._columns)}")
        chosen = [0, *self._columns[name]]
        header, *lines = ([line[index] for index in chosen] for line in self._lines)
        plain = [column.partition("/")[2] if index else column for index, column in enumerate(header)]
        return parse_lines([plain, *lines], metric, f"{self._path}, table `{name}`")
