"""The contract of every rate estimator: a latent goes in, a rate per image comes out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .noise import NoiseSource

__all__ = ["RateEstimate", "RateEstimator", "has_aux_loss"]


class RateEstimate(NamedTuple):
    """What a latent would cost, per image.

    Attributes:
        bits: differentiable total, shape (B,).
        side_bits: the part of `bits` spent on a hyper-latent, shape (B,); zeros where there is none.
    """

    bits: Tensor
    side_bits: Tensor


class RateEstimator(nn.Module, ABC):
    """Says how many bits a latent would cost; used in training only, never by the deployed coder.

    The latent is in units of the quantiser step (y / Q), so that its symbols are `round(latent)`, on the integer grid
    at 0. In training mode the densities see the latent plus uniform noise, in eval mode the symbols themselves. The
    arithmetic is float32 whatever autocast says. Noise and initial weights come from the estimator's own seed.

    Args:
        channels: C of the latents.
        latent_size: (h, w) of the latents, needed only by kinds that keep something per position.
        seed: starts the estimator's own random stream; None draws one from torch's default generator now.

    Raises:
        ConfigError: `channels` or `latent_size` is not positive.
    """

    measures_bits: ClassVar[bool] = True
    """Whether `bits` is an estimate of bits; False for a mere penalty such as the l1 norm."""

    def __init__(self, channels: int, latent_size: tuple[int, int] | None = None, seed: int | None = None) -> None:
        super().__init__()
        if channels < 1:
            raise ConfigError(f"channels is {channels}; a rate estimator needs the latent's channel count, at least 1.")
        if latent_size is not None and (len(latent_size) != 2 or min(latent_size) < 1):
            raise ConfigError(f"latent_size is {latent_size}; give the (height, width) of the latent, each at least 1.")
        self.channels = int(channels)
        self.latent_size = None if latent_size is None else (int(latent_size[0]), int(latent_size[1]))
        self.noise = NoiseSource(seed)

    def forward(self, latent: Tensor) -> RateEstimate:
        """Returns the rate of each image.

        Args:
            latent: (B, C, h, w), y / Q; any h, w >= 1 (kinds that keep positions ask for theirs). Values that are not
                finite give a rate that is not finite.

        Raises:
            ConfigError: the latent has not four dimensions or another channel count.
        """
        if latent.dim() != 4 or latent.shape[1] != self.channels:
            raise ConfigError(
                f"The rate estimator was built for latents (B, {self.channels}, h, w) and got {tuple(latent.shape)}; "
                "build it with channels = the unit's latent_channels."
            )
        device = latent.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.estimate(latent.float())
        return self.estimate(latent.float())

    @abstractmethod
    def estimate(self, latent: Tensor) -> RateEstimate:
        """Returns the rate of a checked float32 latent (B, C, h, w); called by `forward` with autocast off."""

    def aux_loss(self) -> Tensor:
        """Returns the loss that fits compressai's quantiles, to be added to the main loss; zero where there are none.

        It reaches the quantiles only, so one optimiser serves both.
        """
        return torch.zeros((), device=next((t.device for t in [*self.parameters(), *self.buffers()]), None))

    def get_rng_state(self) -> dict[str, Tensor]:
        """Returns the state of the estimator's own random stream, to be saved for an exact resume."""
        return self.noise.get_state()

    def set_rng_state(self, state: dict[str, Tensor]) -> None:
        """Goes on with the random stream where `get_rng_state` was taken."""
        self.noise.set_state(state)

    def noisy_or_rounded(self, values: Tensor) -> Tensor:
        """Returns what a density shall see: values plus own noise in training, integers (grid at 0) in eval mode."""
        return self.noise.add(values) if self.training else torch.round(values)

    @contextmanager
    def own_initialisation(self) -> Iterator[None]:
        """Makes modules built inside draw their initial weights from the estimator's seed; global state stays."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.noise.seed)
            yield


def has_aux_loss(estimator: RateEstimator) -> bool:
    """Returns whether an estimator has a quantile loss to be added to each step."""
    return type(estimator).aux_loss is not RateEstimator.aux_loss
