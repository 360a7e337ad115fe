"""Code lengths under compressai's densities, evaluated in the log domain so that outliers keep a gradient."""

import math

import torch
import torch.nn.functional as F
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from torch import Tensor

__all__ = ["factorized_bits", "gaussian_bits"]

_SMALLEST_GAP = 1e-7  # of two cumulative logits or log-probabilities half a symbol apart on either side


def factorized_bits(bottleneck: EntropyBottleneck, values: Tensor) -> Tensor:
    """Returns -log2 of the probability of the unit interval around each value under a learned factorised density.

    compressai's cumulative logits, without its difference of sigmoids, which is 0 for outliers:
    sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)).

    Args:
        bottleneck: its density is used as it is; nothing is quantised and no median is subtracted.
        values: (B, C, h, w), noisy values or symbols.

    Returns:
        Bits, shape (B,), summed over channels and positions.
    """
    batch, channels = values.shape[:2]
    points = values.transpose(0, 1).reshape(channels, 1, -1)
    both = bottleneck._logits_cumulative(torch.cat((points - 0.5, points + 0.5), dim=-1), stop_gradient=False)
    lower, upper = both.chunk(2, dim=-1)
    gap = (upper - lower).clamp_min(_SMALLEST_GAP)
    nats = F.softplus(-upper) + F.softplus(lower) - torch.log(-torch.expm1(-gap))
    return nats.reshape(channels, batch, -1).sum((0, 2)) / math.log(2)


def gaussian_bits(conditional: GaussianConditional, values: Tensor, scales: Tensor, means: Tensor | None) -> Tensor:
    """Returns -log2 of the probability of the unit interval around each value under a Gaussian.

    The density and scale bound of compressai's conditional, with log Phi instead of its difference of erfc, which is 0
    beyond some thirteen scales.

    Args:
        conditional: holds the lower bound of the scale.
        values: (B, C, h, w), noisy values or symbols.
        scales: (B, C, h, w), standard deviations in symbols.
        means: (B, C, h, w) in symbols, or None for zero.

    Returns:
        Bits, shape (B,), summed over channels and positions.
    """
    scales = conditional.lower_bound_scale(scales)
    distance = (values if means is None else values - means).abs()
    upper = torch.special.log_ndtr((0.5 - distance) / scales)
    lower = torch.special.log_ndtr((-0.5 - distance) / scales)
    gap = (upper - lower).clamp_min(_SMALLEST_GAP)
    nats = -upper - torch.log(-torch.expm1(-gap))
    return nats.flatten(1).sum(1) / math.log(2)
