"""The two small networks between a latent and its hyper-latent, for latents of any size from 1x1."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["HyperAnalysis", "HyperSynthesis", "hyper_channels_for"]


def hyper_channels_for(channels: int) -> int:
    """Returns the default number of hyper-latent channels: a quarter of the latent's, at least 8."""
    return max(8, channels // 4)


class HyperAnalysis(nn.Module):
    """Latent (B, C, h, w) to hyper-latent (B, C_z, ceil(h/4), ceil(w/4)).

    It sees magnitudes (and signed values) on a logarithmic scale, so that a wide latent does not saturate it.

        log(1 + |y|) -> 3x3 -> leaky ReLU -> 3x3 /2 -> leaky ReLU -> 3x3 /2

    Args:
        channels: C of the latent.
        hyper_channels: C_z.
        magnitude_only: whether the sign of the latent is dropped (a scale needs none). Otherwise magnitude and signed
            value are both seen: the mean of a signed latent says nothing of its scale.
    """

    def __init__(self, channels: int, hyper_channels: int, magnitude_only: bool) -> None:
        super().__init__()
        self.magnitude_only = magnitude_only
        self.layers = nn.Sequential(
            nn.Conv2d(channels if magnitude_only else 2 * channels, hyper_channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hyper_channels, hyper_channels, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hyper_channels, hyper_channels, 3, stride=2, padding=1),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """Returns the hyper-latent in symbols, not yet quantised."""
        magnitude = latent.abs().log1p()
        return self.layers(
            magnitude if self.magnitude_only else torch.cat((magnitude, magnitude * latent.sign()), dim=1)
        )


class HyperSynthesis(nn.Module):
    """Hyper-latent to `outputs` maps of exactly the latent's size.

        3x3 -> leaky ReLU -> double, crop -> 3x3 -> leaky ReLU -> double, crop -> 3x3 -> + gain * offset per map

    Args:
        hyper_channels: C_z.
        outputs: channels of the result.
        offset_gain: multiplies the learned offsets, so that they move that much faster than the other parameters.
    """

    def __init__(self, hyper_channels: int, outputs: int, offset_gain: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(hyper_channels, hyper_channels, 3, padding=1)
        self.second = nn.Conv2d(hyper_channels, hyper_channels, 3, padding=1)
        self.last = nn.Conv2d(hyper_channels, outputs, 3, padding=1, bias=False)
        self.offset_gain = float(offset_gain)
        self.offset = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, hyper_latent: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns (B, outputs, h, w) for `size` = (h, w)."""
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        maps = _double(F.leaky_relu(self.first(hyper_latent), 0.1), half)
        maps = _double(F.leaky_relu(self.second(maps), 0.1), size)
        return self.last(maps) + self.offset_gain * self.offset


def _double(maps: Tensor, size: tuple[int, int]) -> Tensor:
    doubled = maps.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return doubled[..., : size[0], : size[1]]
