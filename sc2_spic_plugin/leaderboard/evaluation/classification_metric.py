"""Classification: whether the first class, or one of the first five, is right."""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from ...analyzers import ImageSizes
from ...errors import DataError
from ..results import PerImageRow
from ..statistics import bootstrap_interval
from .metric import Evaluation, check_output

__all__ = ["ClassificationEvaluation", "ClassificationMetric"]


@dataclass(frozen=True)
class ClassificationEvaluation(Evaluation):
    """What was measured on each image of a classification set.

    Attributes:
        correct: whether the first class was right, per image.
        correct5: whether the class was among the first five, per image; None with fewer than five classes.
    """

    correct: list[bool]
    correct5: list[bool] | None

    def accuracies(self) -> dict[str, Any]:
        """Returns top-1 and top-5 in percent and the interval of top-1."""
        low, high = bootstrap_interval([100.0 * right for right in self.correct])
        count = len(self.correct)
        return {
            "top1": 100.0 * sum(self.correct) / count,
            "top5": None if self.correct5 is None else 100.0 * sum(self.correct5) / count,
            "confidence_low": low,
            "confidence_high": high,
        }

    def rows(self) -> list[PerImageRow]:
        """Returns what each image cost and whether it was right."""
        return [PerImageRow(*row) for row in zip(self.images, self._payloads(), self.correct, strict=True)]


class ClassificationMetric:
    """Compares the ranks of logits (B, classes) with labels (B,)."""

    def __init__(self) -> None:
        self.correct: list[bool] = []
        self.correct5: list[bool] = []
        self.has_five = False

    def update(self, output: Any, targets: Tensor) -> int:
        """Scores a batch.

        Raises:
            DataError: an output that is no table of logits or holds a NaN, or an image without a label.
        """
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise DataError("the model does not return one row of logits per image; use a protocol of its own task.")
        check_output(output)
        if int(targets.min()) < 0:
            raise DataError("an image without a label cannot be scored; report on a labelled data set.")
        ranks = output.topk(min(5, output.shape[1]), dim=1).indices.cpu() == targets.reshape(-1, 1)
        self.correct += ranks[:, 0].tolist()
        self.correct5 += ranks.any(dim=1).tolist()
        self.has_five = output.shape[1] >= 5
        return len(targets)

    def extend(self, later: Self) -> None:
        """Adds the images that another metric scored, behind its own."""
        self.correct += later.correct
        self.correct5 += later.correct5
        self.has_five |= later.has_five

    def evaluation(
        self, images: list[str], sizes: list[ImageSizes], pixel_counts: list[int]
    ) -> ClassificationEvaluation:
        """Returns what was measured on all images."""
        correct5 = self.correct5 if self.has_five else None
        return ClassificationEvaluation(images, sizes, pixel_counts, self.correct, correct5)
