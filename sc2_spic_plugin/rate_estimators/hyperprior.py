"""What the two hyperprior estimators share: a coded hyper-latent that predicts a Gaussian per symbol."""

from typing import ClassVar

import torch
from compressai.entropy_models import GaussianConditional
from torch import Tensor

from .base import RateEstimate, RateEstimator
from .densities import factorized_bits, gaussian_bits
from .hyper_networks import HyperAnalysis, HyperSynthesis, hyper_channels_for
from .quick_bottleneck import LEARNING_GAIN, QuickEntropyBottleneck

__all__ = ["HyperpriorRateEstimator"]

_LARGEST_LOG_SCALE = 8.0  # a scale of 3000 symbols; beyond it the exponential could overflow


class HyperpriorRateEstimator(RateEstimator):
    """Code length -log2 p(z) - log2 p(y | z), after Ballé et al., ICLR 2018.

        y ──► HyperAnalysis ──► z ──► + noise ──► HyperSynthesis ──► log scale (and mean) ──► Gaussian ──► bits of y
                                           └────► density of z ──────────────────────────────────────────► bits of z

    Args:
        channels: C of the latents.
        latent_size: not used; latents of any size are taken.
        seed: see `RateEstimator`.
        hyper_channels: channels of z; None for a quarter of C, at least 8.
        init_scale: width of the first density of z in symbols.
        learning_gain: see `QuickEntropyBottleneck`; used for the density of z and the per-channel offset of what the
            hyper-latent predicts.
    """

    predicts_mean: ClassVar[bool]
    """Whether the hyper-latent predicts the mean too; otherwise it is 0, the atom of a ReLU latent."""

    def __init__(
        self,
        channels: int,
        latent_size: tuple[int, int] | None = None,
        seed: int | None = None,
        hyper_channels: int | None = None,
        init_scale: float = 4.0,
        learning_gain: float = LEARNING_GAIN,
    ) -> None:
        super().__init__(channels, latent_size, seed)
        hidden = hyper_channels_for(channels) if hyper_channels is None else hyper_channels
        with self.own_initialisation():
            self.analysis = HyperAnalysis(self.channels, hidden, magnitude_only=not self.predicts_mean)
            self.hyper_density = QuickEntropyBottleneck(hidden, init_scale, learning_gain)
            self.synthesis = HyperSynthesis(hidden, self.channels * (2 if self.predicts_mean else 1), learning_gain)
        self.conditional = GaussianConditional(None)

    def estimate(self, latent: Tensor) -> RateEstimate:
        """Returns the code length of the noisy (training) or rounded (eval) latent and hyper-latent."""
        hyper_latent = self.noisy_or_rounded(self.analysis(latent))
        side_bits = factorized_bits(self.hyper_density, hyper_latent)
        predicted = self.synthesis(hyper_latent, (latent.shape[-2], latent.shape[-1]))
        log_scales, means = predicted.chunk(2, dim=1) if self.predicts_mean else (predicted, None)
        scales = torch.exp(log_scales.clamp_max(_LARGEST_LOG_SCALE))
        bits = gaussian_bits(self.conditional, self.noisy_or_rounded(latent), scales, means)
        return RateEstimate(bits=bits + side_bits, side_bits=side_bits)

    def aux_loss(self) -> Tensor:
        """Returns compressai's quantile loss of the hyper-latent's density."""
        return self.hyper_density.loss()
