"""An image as a network is given it, and back as people see it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import ConfigError
from ...ops import VOID_LABEL

__all__ = ["network_input", "visible_image"]


def network_input(dataset: Any, picture: Image.Image) -> Tensor:
    """Returns a picture prepared by a data set's own transform as the network takes it, (3, H, W).

    Args:
        dataset: has `transform`, of images, or `transforms`, of image and mask together.
        picture: RGB.

    Raises:
        ConfigError: the data set makes no tensors.
    """
    transform, joint = getattr(dataset, "transform", None), getattr(dataset, "transforms", None)
    tensor: Any = None
    if transform is not None:
        tensor = transform(picture)
    elif joint is not None:
        tensor, _ = joint(picture, Image.new("L", picture.size, VOID_LABEL))
    if not isinstance(tensor, Tensor) or tensor.dim() != 3:
        raise ConfigError("the report data set of this config makes no tensors; its transform must end in them.")
    return tensor


def visible_image(dataset: Any, tensor: Tensor) -> NDArray[np.uint8]:
    """Returns what `network_input` made (3, H, W) as a picture (H, W, 3): its normalisation is taken back."""
    transform = getattr(dataset, "transform", None) or getattr(dataset, "transforms", None)
    for step in reversed(list(_steps(transform))):
        if hasattr(step, "mean") and hasattr(step, "std"):
            mean, std = (torch.tensor(list(values)).reshape(-1, 1, 1) for values in (step.mean, step.std))
            tensor = tensor * std + mean
    return (tensor.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _steps(transform: Any) -> Iterator[Any]:
    """Yields the single steps of nested transforms."""
    inner = getattr(transform, "transforms", None)
    if inner is None:
        yield transform
        return
    for step in inner:
        yield from _steps(step)
