"""What stands for images where features were computed before: the front-end's output and the original network's."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["StoredFeatures"]


class StoredFeatures(NamedTuple):
    """Images of the model's `input_size` that went through the front-end earlier; collates as tensors do.

    Attributes:
        features: (C, H, W), or (B, C, H, W) once collated; any floating type.
        original: the original network's outputs by their name in the model's `original`: tensors, or a dict of them.
    """

    features: Tensor
    original: dict[str, Tensor | dict[str, Tensor]]
