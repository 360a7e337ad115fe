"""Batches of pairs: pictures of different sizes are enlarged to the largest, and what is added is void."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import pad

from ...errors import ConfigError
from .masks import VOID_LABEL

__all__ = ["spic_pair_collate"]


def _stack(tensors: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
    """Returns the tensors (..., H, W) as one, each enlarged to the right and below with `fill`."""
    height, width = max(tensor.shape[-2] for tensor in tensors), max(tensor.shape[-1] for tensor in tensors)
    padded = [
        tensor
        if tensor.shape[-2:] == (height, width)
        else pad(tensor, (0, width - tensor.shape[-1], 0, height - tensor.shape[-2]), value=fill)
        for tensor in tensors
    ]
    return torch.stack(padded)


def spic_pair_collate(batch: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Returns a batch of (image, mask) or (image, mask, dict) items.

    Images become one tensor (B, 3, H, W), enlarged with 0, or stay a list where they are PIL images (for codecs). Masks
    become one tensor (B, H, W), enlarged with 255. The third elements stay a tuple of dicts, one per item. In YAML:

        train_data_loader:
          collate_fn: 'spic_pair_collate'

    Raises:
        ConfigError: a mask is no tensor.
    """
    images, masks, *rest = zip(*batch, strict=True)
    if not all(isinstance(mask, torch.Tensor) for mask in masks):
        raise ConfigError("The masks are no tensors; end the data set's `transforms` with `PairToTensor`.")
    stacked = list(images) if isinstance(images[0], Image.Image) else _stack(images, 0)
    return (stacked, _stack(masks, VOID_LABEL), *rest)
