"""From a hyper-latent to Gaussians in whole numbers: the same on every machine, whatever adds in which order."""

import hashlib
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import TableError
from .gaussian_coder import Gaussians
from .gaussian_tables import FRACTIONS, level_of

__all__ = ["IntegerSynthesis"]

_ONE = 1 << 12
"""Weights and activations are multiples of 1 / _ONE."""
_SLOPE = 6554 / 65536
"""Of the leaky ReLU: 0.1, as a fraction that a product with it is exact."""
_LARGEST_ACTIVATION = 1 << 24
_EXACT = 1 << 53
"""Whole numbers up to here are exact in float64, and so are their sums in any order."""


class _Convolution(NamedTuple):
    weight: Tensor
    """(out, in, 3, 3), whole numbers as float64."""
    offset: Tensor
    """(out,), the same, in units of 1 / _ONE**2."""


class IntegerSynthesis:
    """A hyper-synthesis network whose weights and activations are whole numbers, computed in float64 without rounding.

        z -> 3x3 -> leaky ReLU -> double, crop -> 3x3 -> leaky ReLU -> double, crop -> 3x3 -> log-scales (and means)

    After Ballé et al., ICLR 2019: a receiver whose scales differ from the sender's by one rounding decodes noise.

    Args:
        weights: three, (out, in, 3, 3).
        offsets: three, (out,).
        channels: of the latent; the last layer gives as many log-scales, and after them as many means or none.

    Raises:
        TableError: weights that do not fit each other, are not finite, or so large that sums would not be exact.
    """

    def __init__(self, weights: list[np.ndarray], offsets: list[np.ndarray], channels: int) -> None:
        self.channels = channels
        self._layers = [_convolution(*pair) for pair in zip(weights, offsets, strict=True)]
        outputs = self._layers[-1].weight.shape[0]
        chained = all(a.weight.shape[0] == b.weight.shape[1] for a, b in pairwise(self._layers))
        if len(self._layers) != 3 or not chained or outputs not in (channels, 2 * channels):
            raise TableError("the hyper-synthesis is not one of three layers for this latent: export the unit again")
        self.predicts_mean = outputs == 2 * channels

    @property
    def hyper_channels(self) -> int:
        """Channels of the hyper-latent."""
        return self._layers[0].weight.shape[1]

    @torch.no_grad()
    def __call__(self, hyper_latent: np.ndarray, size: tuple[int, int]) -> Gaussians:
        """Returns the Gaussians of the latent's C * h * w symbols.

        Args:
            hyper_latent: (C_z, ceil(h/4), ceil(w/4)) int32.
            size: h, w.
        """
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        first, second, last = self._layers
        maps = torch.from_numpy(hyper_latent.astype(np.float64) * _ONE)[None]
        maps = _doubled(_activated(_sums(maps.clamp(-_LARGEST_ACTIVATION, _LARGEST_ACTIVATION), first)), half)
        maps = _doubled(_activated(_sums(maps, second)), size)
        predicted = _rescaled(_sums(maps, last))[0].reshape(-1).numpy().astype(np.int64)
        log_scales, means = np.split(predicted, 2) if self.predicts_mean else (predicted, np.zeros_like(predicted))
        step = _ONE // FRACTIONS
        return Gaussians(level_of(log_scales, _ONE), (means + step // 2) // step)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns the weights as whole numbers."""
        arrays = {}
        for number, layer in enumerate(self._layers):
            arrays[f"weight{number}"] = layer.weight.numpy().astype(np.int32)
            arrays[f"offset{number}"] = layer.offset.numpy().astype(np.int64)
        return arrays

    @property
    def stored_bytes(self) -> int:
        """Bytes of the weights: 4 each, 8 for an offset."""
        return sum(array.nbytes for array in self.to_arrays().values())

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the weights and what they predict."""
        digest = hashlib.sha256(f"integer synthesis 1|{self.channels}".encode())
        for name, array in self.to_arrays().items():
            digest.update(f"|{name}|{array.shape}|".encode() + array.astype("<i8").tobytes())
        return digest.hexdigest()


def _convolution(weight: np.ndarray, offset: np.ndarray) -> _Convolution:
    weight, offset = np.asarray(weight, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    if weight.ndim != 4 or weight.shape[2:] != (3, 3) or offset.shape != weight.shape[:1]:
        raise TableError(f"a hyper-synthesis layer of shapes {weight.shape} and {offset.shape}: export the unit again")
    whole, shift = np.rint(weight * _ONE), np.rint(offset * _ONE * _ONE)
    largest = np.abs(whole).sum(axis=(1, 2, 3)) * _LARGEST_ACTIVATION + np.abs(shift)
    if not np.isfinite(largest).all() or largest.max() >= _EXACT:
        raise TableError(
            "the hyper-synthesis has weights too large to be computed in whole numbers: train the unit with a lower "
            "learning rate, or use `coder: static`"
        )
    return _Convolution(torch.from_numpy(whole), torch.from_numpy(shift))


def _sums(maps: Tensor, layer: _Convolution) -> Tensor:
    """Returns the convolution of whole numbers, in units of 1 / _ONE**2; exact."""
    return F.conv2d(maps, layer.weight, layer.offset, padding=1)


def _rescaled(sums: Tensor) -> Tensor:
    return torch.floor(sums / _ONE).clamp(-_LARGEST_ACTIVATION, _LARGEST_ACTIVATION)


def _activated(sums: Tensor) -> Tensor:
    maps = _rescaled(sums)
    return torch.where(maps >= 0, maps, torch.floor(maps * _SLOPE))


def _doubled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    doubled = maps.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return doubled[..., : size[0], : size[1]]
