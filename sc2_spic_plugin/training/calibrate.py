"""Exact recount of the coding tables over the training images, in deployment precision."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from ..errors import DataError
from ..models import SplitModel

__all__ = ["calibrate"]


@torch.no_grad()
def calibrate(
    model: SplitModel,
    batches: Iterable[Any],
    device: torch.device,
    report: Callable[[int], None] = lambda _images: None,
) -> int:
    """Counts the active unit's symbols over images and replaces its tables.

    Args:
        model: the model; its network and unit stay as they are.
        batches: image batches (B, 3, H, W), or tuples that start with one or with a list of them; labels are not read.
        device: where the model is.
        report: called with the number of images counted so far.

    Returns:
        The number of images counted.

    Raises:
        DataError: there was no image.
    """
    model.eval()
    tables = model.symbol_tables
    tables.start_calibration()
    images = 0
    for batch in batches:
        first = batch[0] if isinstance(batch, tuple | list) else batch
        for image in first if isinstance(first, list) else [first]:
            features, _ = model._split_front(image.to(device))
            tables.count(model.unit.encode(features))
            images += len(image)
        report(images)
    if images == 0:
        raise DataError("there was no image to calibrate on; check the data set's folder.")
    tables.finish_calibration()
    return images
