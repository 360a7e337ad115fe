"""What was measured on each image, whatever the task: ids, sizes and pixels, and the operating point they make."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from torch import Tensor

from ...analyzers import ImageSizes, further_columns
from ...errors import DataError
from ..results import PerImageOverlap, PerImageRow, Point, Value

__all__ = ["Evaluation", "Metric", "check_output"]


@dataclass(frozen=True)
class Evaluation(ABC):
    """What was measured on each image.

    Attributes:
        images: ids of the images.
        sizes: measured sizes per image; empty if the model codes nothing.
        pixel_counts: image pixels that each image's bits are divided by.
    """

    images: list[str]
    sizes: list[ImageSizes]
    pixel_counts: list[int]

    @property
    def pixels(self) -> int:
        """Image pixels that bits are divided by, where they are the same for all images.

        Raises:
            DataError: they differ; use `pixel_counts`.
        """
        if len(set(self.pixel_counts)) != 1:
            raise DataError("the images differ in size, so no number of pixels stands for all; use `pixel_counts`.")
        return self.pixel_counts[0]

    @abstractmethod
    def accuracies(self) -> dict[str, Any]:
        """Returns the fields of the point that say how well the task was done; `extra` holds further columns."""

    @abstractmethod
    def rows(self) -> Sequence[PerImageRow | PerImageOverlap]:
        """Returns one row per image for the table beside the result file."""

    def point(self, unit: str, **provenance: Any) -> Point:
        """Returns the means as an operating point called `unit`; `provenance` fills further fields of the point."""
        accuracies = self.accuracies()
        extra = {**accuracies.pop("extra", {}), **self._further(), **provenance.pop("extra", {})}
        return Point(
            unit=unit,
            bpp=self._bits_per_pixel(),
            code_bytes=self._mean([size.code_bytes for size in self.sizes]),
            payload_bytes=self._mean([size.payload_bytes for size in self.sizes]),
            harness_kilobytes=self._mean([size.harness_bytes / 1024 for size in self.sizes]),
            extra=extra,
            **accuracies,
            **provenance,
        )

    def _mean(self, values: Sequence[float]) -> float | None:
        return sum(values) / len(values) if values else None

    def _bits_per_pixel(self) -> float | None:
        """Returns bits per image pixel, mean over images: each by its own pixels where they differ."""
        if not self.sizes:
            return None
        if len(set(self.pixel_counts)) == 1:
            return sum(size.payload_bytes for size in self.sizes) / len(self.sizes) * 8 / self.pixel_counts[0]
        each = zip(self.sizes, self.pixel_counts, strict=True)
        return self._mean([size.payload_bytes * 8 / pixels for size, pixels in each])

    def _further(self) -> dict[str, Value]:
        """Returns the mean of each further column over the images that have it, and how many have not."""
        found: dict[str, Value] = {}
        for name, values in further_columns(self.sizes).items():
            known = [value for value in values if value is not None]
            found[name] = self._mean(known)
            if len(known) < len(values):
                found[f"{name}_unknown"] = len(values) - len(known)
        return found

    def _payloads(self) -> list[int]:
        return [size.payload_bytes for size in self.sizes] or [0] * len(self.images)


def check_output(output: Tensor) -> None:
    """Checks that a network's output can be scored: the largest of NaNs is no answer.

    Raises:
        DataError: it holds a NaN.
    """
    if bool(output.isnan().any()):
        raise DataError(
            "the model returns NaN; look for a decoder that divides by zero, or for half precision that overflows."
        )


class Metric(Protocol):
    """Scores a model's outputs batch by batch; one object serves one evaluation."""

    def update(self, output: Any, targets: Tensor) -> int:
        """Scores a batch and returns its number of images.

        Raises:
            DataError: targets or an output that cannot be scored.
        """

    def extend(self, later: Self) -> None:
        """Adds the images that another metric of the same kind scored, behind its own."""

    def evaluation(self, images: list[str], sizes: list[ImageSizes], pixel_counts: list[int]) -> Evaluation:
        """Returns what was measured on all images.

        Raises:
            DataError: the images together cannot be scored.
        """
