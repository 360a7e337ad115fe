"""Exact recount of the coding tables over the training images, in deployment precision."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError
from ..models import SplitModel
from ..ops.ranks import gathered
from .batches import to_device
from .stored_features import StoredFeatures

__all__ = ["calibrate"]


@torch.no_grad()
def calibrate(
    model: SplitModel,
    batches: Iterable[Any],
    device: torch.device,
    report: Callable[[int], None] = lambda _images: None,
) -> int:
    """Counts the symbols of every unit over images, from one pass of the front-end, and replaces their tables.

    Args:
        model: the model; its network and units stay as they are.
        batches: image batches (B, 3, H, W), or tuples that start with one or with a list of them; labels are not read.
            Several processes each give their own (`own_batches`); the counts are summed.
        device: where the model is.
        report: called with the number of images counted so far, in this process.

    Returns:
        The number of images counted, in all processes.

    Raises:
        DataError: there was no image.
    """
    model.eval()
    for tables in model.tables.values():
        tables.start_calibration()  # type: ignore[operator]
    images = 0
    for batch in batches:
        first = batch if isinstance(batch, Tensor | StoredFeatures) else batch[0]
        for image in first if isinstance(first, list) else [first]:
            features, _ = model._split_front(to_device(image, device))
            for name, unit in model.units.items():
                model.tables[name].count(unit.encode(features))  # type: ignore[operator]
            images += len(features)
        report(images)
    images = sum(gathered(images))
    if images == 0:
        raise DataError("there was no image to calibrate on; check the data set's folder.")
    for tables in model.tables.values():
        tables.finish_calibration()  # type: ignore[operator]
    return images
