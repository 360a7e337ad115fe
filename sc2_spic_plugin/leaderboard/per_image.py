"""The per-image table beside a result file: what each image cost and whether it was right."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..ops import write_atomic

__all__ = ["PerImageRow", "per_image_csv_path", "read_per_image_csv", "write_per_image_csv"]


class PerImageRow(NamedTuple):
    """One image at one operating point."""

    image: str
    payload_bytes: int
    correct: bool


def per_image_csv_path(result_path: str | Path, unit: str) -> Path:
    """Returns where the per-image table of one point lies: `spic.json`, `u3` -> `spic.u3.csv`.

    Raises:
        DataError: a unit name that would leave the folder.
    """
    if not unit or any(sign in unit for sign in "/\\\0"):
        raise DataError(f"The unit name {unit!r} cannot be part of a file name.")
    path = Path(result_path)
    return path.with_name(f"{path.stem}.{unit}.csv")


def write_per_image_csv(path: str | Path, rows: Iterable[PerImageRow | tuple[str, int, bool]]) -> Path:
    """Writes `image,payload_bytes,correct` (1 or 0), whole or not at all.

    Raises:
        DataError: an image that is there twice, or a negative size.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(PerImageRow._fields)
    seen: set[str] = set()
    for image, payload_bytes, correct in rows:
        if str(image) in seen:
            raise DataError(f"Image `{image}` is there twice; a padded batch must not be counted.")
        if int(payload_bytes) < 0:
            raise DataError(f"Image `{image}` has a negative size.")
        seen.add(str(image))
        writer.writerow((image, int(payload_bytes), int(bool(correct))))
    return write_atomic(path, buffer.getvalue())


def read_per_image_csv(path: str | Path) -> list[PerImageRow]:
    """Reads the table back.

    Raises:
        DataError: absent, other columns, or an entry that is not a number; the message names the line.
    """
    try:
        lines = list(csv.reader(io.StringIO(Path(path).read_text(encoding="utf-8"))))
    except FileNotFoundError as error:
        raise DataError(f"There is no per-image table at {path}.") from error
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
