"""A point measured again from the same weights: bytes of each image's payload, and whether or where it is right."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import DataError
from ..results import ImageRow, Meta, PerImageRow, Point, code_version, collect_environment, collect_versions

__all__ = ["ExactCheck", "check_exactly", "check_images"]

SHOWN = 5
FEW = 0.05
"""Up to this share of the images rounding is the likely cause."""
_FIGURES = {
    "top1": "top-1 %",
    "top5": "top-5 %",
    "miou": "mIoU %",
    "bpp": "bpp",
    "payload_bytes": "payload bytes per image",
    "code_bytes": "code bytes per image",
}
_SAME = 1e-9  # relative: means of the same whole numbers, added up in another order


class ImageDifference(NamedTuple):
    """An image that is not as committed."""

    committed: ImageRow
    measured: ImageRow

    @property
    def in_bytes(self) -> bool:
        """Whether it takes another number of bytes."""
        return self.committed.payload_bytes != self.measured.payload_bytes

    @property
    def in_answer(self) -> bool:
        """Whether the network answers otherwise, as far as the table tells: right or wrong, or pixels per class."""
        return self.committed[2:] != self.measured[2:]

    def __str__(self) -> str:
        """Returns the image and what differs."""
        said = []
        if self.in_bytes:
            said.append(f"{self.committed.payload_bytes} bytes committed, {self.measured.payload_bytes} here")
        if self.in_answer and isinstance(self.committed, PerImageRow) and isinstance(self.measured, PerImageRow):
            before, now = ("right" if row.correct else "wrong" for row in (self.committed, self.measured))
            said.append(f"{before} committed, {now} here")
        elif self.in_answer:
            said.append("other pixels per class")
        return f"{self.committed.image}: {'; '.join(said)}"


class FigureDifference(NamedTuple):
    """A figure of the point that is not as committed."""

    name: str
    committed: float
    measured: float | None


@dataclass(frozen=True)
class ExactCheck:
    """What became of a point that was measured again.

    Attributes:
        meta: provenance of the committed result.
        committed: the point.
        images: number of images.
        differences: images that differ.
        figures: figures of the point that differ.
    """

    meta: Meta
    committed: Point
    images: int
    differences: Sequence[ImageDifference]
    figures: Sequence[FigureDifference]

    @property
    def holds(self) -> bool:
        """Whether everything is as committed."""
        return not self.differences and not self.figures

    def lines(self) -> list[str]:
        """Returns what a reader is told."""
        point = self.committed
        if self.holds:
            about = [f"{point.accuracy:.2f} %"]
            about += [] if point.bpp is None else [f"{point.bpp:.4g} bpp"]
            about += [] if point.code_bytes is None else [f"{point.code_bytes:.1f} code bytes per image"]
            answer = "pixels per class" if point.top1 is None else "right or wrong"
            return [f"all {self.images} images: as many payload bytes each, {answer} as committed ({', '.join(about)})"]
        lines = [self._count(), *(f"  {difference}" for difference in self.differences[:SHOWN])]
        if len(self.differences) > SHOWN:
            lines.append(f"  and {len(self.differences) - SHOWN} more")
        lines += [f"{_FIGURES[name]}: {before} committed, {now} here" for name, before, now in self.figures]
        return [*lines, *self._causes()]

    def _count(self) -> str:
        in_bytes = sum(difference.in_bytes for difference in self.differences)
        in_answer = sum(difference.in_answer for difference in self.differences)
        return (
            f"{len(self.differences)} of {self.images} images differ, {in_bytes} in payload bytes and {in_answer} in "
            "the answer"
        )

    def _causes(self) -> list[str]:
        few = len(self.differences) <= FEW * self.images
        cause = (
            "so few images usually differ because floating point rounds otherwise on another kind of CPU, with another "
            "number of threads or another version of torch"
            if few
            else "so many images differ by more than rounding: other weights, images, or code"
        )
        changes = _changes(self.meta)
        named = [f"  {change}" for change in changes] or ["  all that the result names is the same here"]
        return [f"{cause}; committed, and here:", *named]


def check_images(committed: Sequence[ImageRow], images: Iterable[str]) -> None:
    """Refuses other images than those that a committed table is of.

    Args:
        committed: rows of the table.
        images: ids of those at hand.

    Raises:
        DataError: how many are missing, how many are not the table's.
    """
    wanted, found = {row.image for row in committed}, set(images)
    if wanted != found:
        example = sorted(wanted ^ found)[0]
        raise DataError(
            f"the images are not those of the committed point: {len(wanted - found)} of its {len(wanted)} are missing, "
            f"{len(found - wanted)} are none of its (`{example}` for one). Pass the data set's folder, for example "
            "`--set root=FOLDER`."
        )


def check_exactly(
    meta: Meta, point: Point, committed: Sequence[ImageRow], again: Point, measured: Sequence[ImageRow]
) -> ExactCheck:
    """Compares a committed point with what was measured again from the same weights.

    Sizes of payloads and whether answers are right (segmentation: pixels per class) are compared image by image; what
    the bytes are, no table tells. Code bytes, of which a table has no column, and top-5 are compared as means over all
    images.

    Args:
        meta: provenance of the committed point.
        point: as committed.
        committed: its per-image table.
        again: the point as measured now.
        measured: the per-image table of that.

    Raises:
        DataError: the two are of different images.
    """
    check_images(committed, [row.image for row in measured])
    now = {row.image: row for row in measured}
    pairs = [ImageDifference(row, now[row.image]) for row in committed]
    figures = [
        FigureDifference(name, before, getattr(again, name))
        for name in _FIGURES
        if (before := getattr(point, name)) is not None and not _is_same(before, getattr(again, name))
    ]
    return ExactCheck(meta, point, len(pairs), [each for each in pairs if each.in_bytes or each.in_answer], figures)


def _is_same(before: float, now: float | None) -> bool:
    return now is not None and math.isclose(before, now, rel_tol=_SAME)


def _changes(meta: Meta) -> list[str]:
    """Returns versions and environment of a result where they are not those of here."""
    then: dict[str, Any] = {"code": meta.code_version, **meta.versions, **meta.environment}
    here: dict[str, Any] = {"code": code_version(), **collect_versions(), **collect_environment()}
    return [f"{name}: {then[name]}, {here.get(name)}" for name in then if then[name] != here.get(name)]
