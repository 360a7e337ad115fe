"""Pixels per image and class where masks and predictions meet, and the mean IoU that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...ops import VOID_LABEL
from ..statistics import Interval, resampled_sums

__all__ = ["ClassOverlaps", "count_overlaps"]


@dataclass(frozen=True)
class ClassOverlaps:
    """Pixel counts of N images and C classes, void pixels apart; each (N, C), int64.

    Attributes:
        intersection: pixels that mask and prediction both give the class.
        union: pixels that one of them, or both, give the class.
        labelled: pixels that the mask gives the class.
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["ClassOverlaps"]) -> "ClassOverlaps":
        """Returns the images of all parts, in order."""
        return cls(
            np.concatenate([part.intersection for part in parts]),
            np.concatenate([part.union for part in parts]),
            np.concatenate([part.labelled for part in parts]),
        )

    def counted(self, absent_classes: str, names: Sequence[str] = ()) -> NDArray[np.bool_]:
        """Returns which classes the mean is taken over (C,).

        Args:
            absent_classes: what becomes of a class that no mask shows: `error` refuses it, `skip` leaves it out, `zero`
                counts it as 0. It depends on the masks alone, so all methods are measured over the same classes.
            names: of the classes, for the message.

        Raises:
            DataError: the masks show nothing at all, or lack a class that must not be absent.
        """
        shown: NDArray[np.bool_] = self.labelled.sum(axis=0) > 0
        if not shown.any():
            raise DataError("no mask has a labelled pixel; report on images with masks.")
        if absent_classes == "error" and not shown.all():
            absent = [names[index] if names else f"class {index}" for index in np.flatnonzero(~shown)]
            raise DataError(
                f"no reported mask shows {', '.join(absent)}, so its IoU is not defined. Report on images that show "
                "every class, or say in the protocol how it counts: `absent_classes: skip` or `absent_classes: zero`."
            )
        return shown if absent_classes == "skip" else np.ones_like(shown)

    def mean_iou(self, absent_classes: str = "error") -> float:
        """Returns the mean IoU over the classes that `counted` names, in percent."""
        total = (self.intersection.sum(axis=0), self.union.sum(axis=0))
        return float(100 * _ratio(*total)[self.counted(absent_classes)].mean())

    def mean_iou_all_classes(self) -> float | None:
        """Returns sc2bench's mean IoU in percent, over all classes; None if one is in no mask and no prediction."""
        union = self.union.sum(axis=0)
        return float(100 * _ratio(self.intersection.sum(axis=0), union).mean()) if union.all() else None

    def mean_iou_present_classes(self) -> float:
        """Returns the released SPIC code's mean IoU in percent, over the classes in any mask or prediction."""
        union = self.union.sum(axis=0)
        return float(100 * _ratio(self.intersection.sum(axis=0), union)[union > 0].mean())

    def pixel_accuracy(self) -> float:
        """Returns the labelled pixels that were given their class, in percent."""
        return float(100 * self.intersection.sum() / self.labelled.sum())

    def interval(self, absent_classes: str = "error") -> Interval:
        """Returns the 95 % bootstrap interval of `mean_iou` over images.

        Images are drawn, and their pixels added up. A class that no drawn mask shows is left out of that draw's mean,
        or counts as 0 under `zero`.
        """
        counted = self.counted(absent_classes)
        kinds = len(counted)
        means: list[NDArray[np.float64]] = []
        for sums in resampled_sums(np.concatenate([self.intersection, self.union, self.labelled], axis=1)):
            intersection, union, labelled = sums[:, :kinds], sums[:, kinds : 2 * kinds], sums[:, 2 * kinds :]
            shown = np.broadcast_to(counted, labelled.shape) & ((labelled > 0) | (absent_classes == "zero"))
            drawn = shown.any(axis=1)
            means.append((_ratio(intersection, union) * shown)[drawn].sum(axis=1) / shown[drawn].sum(axis=1))
        low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
        return Interval(float(100 * low), float(100 * high))


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """Returns part / whole, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(part.shape, dtype=np.float64), where=whole > 0)


def count_overlaps(prediction: Tensor, target: Tensor, classes: int, void: int = VOID_LABEL) -> ClassOverlaps:
    """Counts the pixels of a batch.

    Args:
        prediction: class indices (B, H, W).
        target: mask (B, H, W) of class indices and `void`.
        classes: number of classes C.
        void: label of pixels that do not count.

    Raises:
        DataError: a label that is neither a class nor void.
    """
    valid = target != void
    strange = valid & ((target < 0) | (target >= classes))
    if strange.any():
        labels = ", ".join(str(label) for label in torch.unique(target[strange]).tolist()[:8])
        raise DataError(
            f"a mask holds label {labels}, the {classes} classes have labels 0 to {classes - 1} and {void} is void; "
            "correct the masks, or name the void labels in the data set."
        )
    images = len(target)
    offset = classes * torch.arange(images, device=target.device).reshape(-1, 1, 1)

    def histogram(labels: Tensor, where: Tensor) -> Tensor:
        return torch.bincount((labels + offset)[where], minlength=images * classes).reshape(images, classes)

    labelled, predicted = histogram(target, valid), histogram(prediction, valid)
    intersection = histogram(target, valid & (prediction == target))
    counts = (intersection, labelled + predicted - intersection, labelled)
    return ClassOverlaps(*(count.cpu().numpy() for count in counts))
