"""Semantic segmentation: the mean intersection over union of the classes, in both conventions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from ...analyzers import ImageSizes
from ...errors import DataError
from ...ops import VOID_LABEL
from ..results import PerImageOverlap
from .metric import Evaluation, check_output
from .overlap import ClassOverlaps, count_overlaps

__all__ = ["SegmentationEvaluation", "SegmentationMetric"]


@dataclass(frozen=True)
class SegmentationEvaluation(Evaluation):
    """What was measured on each image of a segmentation set.

    Attributes:
        overlaps: pixel counts per image and class.
        absent_classes: how a class that no mask shows counts: `error`, `skip` or `zero`.
    """

    overlaps: ClassOverlaps
    absent_classes: str

    def accuracies(self) -> dict[str, Any]:
        """Returns the mean IoU in percent with its interval, both conventions and the pixel accuracy."""
        overlaps = self.overlaps
        low, high = overlaps.interval(self.absent_classes)
        return {
            "miou": overlaps.mean_iou(self.absent_classes),
            "confidence_low": low,
            "confidence_high": high,
            "extra": {
                "miou_all_classes": overlaps.mean_iou_all_classes(),
                "miou_present_classes": overlaps.mean_iou_present_classes(),
                "pixel_accuracy": overlaps.pixel_accuracy(),
            },
        }

    def rows(self) -> list[PerImageOverlap]:
        """Returns what each image cost and its pixel counts per class."""
        counts = (self.overlaps.intersection, self.overlaps.union, self.overlaps.labelled)
        tables = [[tuple(of_image) for of_image in count.tolist()] for count in counts]
        return [PerImageOverlap(*row) for row in zip(self.images, self._payloads(), *tables, strict=True)]


class SegmentationMetric:
    """Compares the strongest class of each pixel with masks (B, H, W); void pixels are ignored, no image is.

    Args:
        classes: names of the classes, in the order of their labels; empty: as many as the model gives.
        absent_classes: how a class that no mask shows counts: `error`, `skip` or `zero`.
        void: label of pixels that do not count, those added to make a batch among them.
    """

    def __init__(self, classes: Sequence[str] = (), absent_classes: str = "error", void: int = VOID_LABEL) -> None:
        self.classes, self.absent_classes, self.void = list(classes), absent_classes, void
        self.parts: list[ClassOverlaps] = []

    def update(self, output: Any, targets: Tensor) -> int:
        """Scores a batch of logits (B, C, H, W), or a dict with them as `out`.

        Raises:
            DataError: an output of another shape or number of classes, one with a NaN, or a label that is no class.
        """
        logits = output.get("out") if isinstance(output, Mapping) else output
        if not isinstance(logits, Tensor) or logits.dim() != 4:
            raise DataError("the model does not return one map of logits per class; use a protocol of its own task.")
        expected = (len(targets), len(self.classes) or logits.shape[1], *targets.shape[-2:])
        if tuple(logits.shape) != expected:
            raise DataError(
                f"the model returns {tuple(logits.shape)} (images, classes, height, width), the masks and classes of "
                f"the data set need {expected}; check `num_classes` of the network and the data set's transforms."
            )
        check_output(logits)
        targets = targets.to(logits.device)
        self.parts.append(count_overlaps(logits.argmax(dim=1), targets, logits.shape[1], self.void))
        return len(targets)

    def extend(self, later: Self) -> None:
        """Adds the images that another metric scored, behind its own."""
        self.parts += later.parts

    def evaluation(self, images: list[str], sizes: list[ImageSizes], pixel_counts: list[int]) -> SegmentationEvaluation:
        """Returns what was measured on all images.

        Raises:
            DataError: the masks lack a class, and the protocol does not say how it counts.
        """
        overlaps = ClassOverlaps.joined(self.parts)
        overlaps.counted(self.absent_classes, self.classes)
        return SegmentationEvaluation(images, sizes, pixel_counts, overlaps, self.absent_classes)
