"""Code lengths of symbols under tables of counts, finite for symbols that were never counted."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CodeLengths", "code_lengths"]

_DECAY_RANGE = (0.5, 0.98)  # of the geometric tail: one bit per unit where little was seen, at least 0.03 bits


class CodeLengths(NamedTuple):
    """Bits per symbol.

    Attributes:
        bits: (C, P, A), of symbol number a of the alphabet in channel c at position p.
        slopes: (C, P, A), to the next symbol; in the last place the cost of each unit beyond the alphabet.
    """

    bits: Tensor
    slopes: Tensor


def code_lengths(counts: Tensor, smoothing: float = 1.0, position_smoothing: float = 16.0) -> CodeLengths:
    """Turns counts into code lengths: position backed off to channel, channel to a geometric tail.

    The tail stands for the deployed coder's escape code: it holds `smoothing` counts' worth of probability, falls
    geometrically from the first symbol with the channel's own mean (1 where nothing was counted), but never by more
    than half per unit.

    Args:
        counts: (C, P, A), not negative; P positions (1 for a table per channel), A >= 2 symbols.
        smoothing: weight of the tail against a channel's counts, in counts.
        position_smoothing: weight of the channel's table against a position's counts, in counts.
    """
    alphabet = counts.shape[-1]
    symbols = torch.arange(alphabet, device=counts.device, dtype=counts.dtype)
    per_channel = counts.sum(1)
    total = per_channel.sum(-1, keepdim=True)
    mean = ((per_channel * symbols).sum(-1, keepdim=True) + smoothing) / (total + smoothing)
    ratio = (mean / (1 + mean)).clamp(*_DECAY_RANGE)
    decay = ratio.log()
    tail = torch.exp(decay * symbols)
    tail[:, :-1] *= 1 - ratio  # the last symbol stands for all beyond
    table = ((per_channel + smoothing * tail) / (total + smoothing)).unsqueeze(1)
    if counts.shape[1] > 1:
        table = (counts + position_smoothing * table) / (counts.sum(-1, keepdim=True) + position_smoothing)
    bits = -torch.log2(table)
    beyond = -(decay / math.log(2)).unsqueeze(1).expand(-1, counts.shape[1], -1)
    return CodeLengths(bits, torch.cat((bits.diff(dim=-1), beyond), dim=-1))
