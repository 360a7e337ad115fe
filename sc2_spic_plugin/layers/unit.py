"""The bottleneck unit: the small trained encoder, quantiser and decoder at the cut."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ConfigError, nearest
from .geometry import CoveringGeometry, Geometry, Size
from .quantizer import UniformQuantizer
from .topologies import build_topology

__all__ = ["BottleneckUnit", "UnitOutput"]


class UnitOutput(NamedTuple):
    """What a unit gives in training: the decoded features and the latent they came from."""

    features_hat: Tensor
    latent: Tensor


class BottleneckUnit(nn.Module):
    """Encoder, uniform quantiser and decoder at the cut; the only part of a SPIC model that is trained.

        features (B, C, H, W) -> encoder -> latent (B, C_r, h, w) -> round(. / step) = symbols
        symbols -> * step -> decoder -> features_hat (B, C, H', W')

    The separable unit of the paper's Tables 3 and 4 (C = 2048, C_r = 128) has 573,696 parameters at strides 1 to 3,
    639,232 at 4 and 5, 737,536 at 6 and 7: the kernel grows with the stride so that every position is covered.

    Args:
        in_channels: channels C of the features.
        latent_channels: channels C_r of the latent.
        stride: spatial downsampling S.
        step: quantiser step Q.
        topology: see `build_topology`.
        geometry: kernels and sizes; by default `CoveringGeometry(stride)`, which returns exactly (H, W).
        output_activation: `relu` where the features are rectified (after a ResNet block), else `identity`.

    Raises:
        ConfigError: a number that makes no unit.

    Source: Ahuja et al., "Neural Rate Estimator and Unsupervised Learning for Efficient Distributed Image Analytics
    in Split-DNN Models", CVPR 2023.
    """

    def __init__(
        self,
        in_channels: int,
        latent_channels: int,
        stride: int = 2,
        step: float = 1.0,
        topology: str = "separable",
        geometry: Geometry | None = None,
        output_activation: str = "relu",
    ) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("latent_channels", latent_channels)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be a whole number of 1 or more, got {value!r}.")
        if output_activation not in ("relu", "identity"):
            hint = nearest(str(output_activation), ["relu", "identity"])
            raise ConfigError(f"unknown output_activation `{output_activation}`. {hint}")
        self.geometry: Geometry = CoveringGeometry(stride) if geometry is None else geometry
        if self.geometry.stride != stride:
            raise ConfigError(f"the geometry has stride {self.geometry.stride}, the unit {stride}; give the same.")
        self.in_channels = in_channels
        self.latent_channels = latent_channels
        self.stride = stride
        self.quantizer = UniformQuantizer(step)
        self.encoder, self.decoder = build_topology(
            topology, in_channels, latent_channels, self.geometry, output_activation == "relu"
        )

    @property
    def step(self) -> float:
        """The quantiser step Q."""
        return self.quantizer.step

    @property
    def weight_dtype(self) -> torch.dtype:
        """What the weights are in, which features must be too."""
        return next(self.parameters()).dtype

    def latent_size(self, size: Size) -> Size:
        """Returns (h, w) of the latent for features of `size` = (H, W)."""
        return self.geometry.latent_size(size)

    def forward(self, features: Tensor) -> UnitOutput:
        """Encodes, quantises with straight-through gradients and decodes: the differentiable path."""
        latent = self.encoder(features)
        size = (features.shape[-2], features.shape[-1])
        return UnitOutput(self.decoder(self.quantizer(latent), size), latent)

    @torch.no_grad()
    def encode(self, features: Tensor, checks_finite: bool = True) -> Tensor:
        """Returns the symbols (B, C_r, h, w) int32 that are transmitted, with batch-norm statistics as deployed.

        Args:
            features: (B, C, H, W).
            checks_finite: see `UniformQuantizer.quantize`.

        Raises:
            ConfigError: the features have another number of channels, or give a latent that is not finite.
        """
        if features.ndim != 4 or features.shape[1] != self.in_channels:
            raise ConfigError(
                f"expected features (B, {self.in_channels}, H, W), got {tuple(features.shape)}; "
                "the unit was made for another cut or network."
            )
        return self._deployed(lambda: self.quantizer.quantize(self.encoder(features), checks_finite))

    @torch.no_grad()
    def decode(self, symbols: Tensor, size: Size) -> Tensor:
        """Returns features (B, C, H', W') float32 from symbols (B, C_r, h, w) and the features' size (H, W).

        Raises:
            ConfigError: the symbols are not integers, or of another shape than this unit's.
        """
        if symbols.ndim != 4 or symbols.shape[1] != self.latent_channels:
            raise ConfigError(
                f"expected symbols (B, {self.latent_channels}, h, w), got {tuple(symbols.shape)}; "
                "they belong to another unit."
            )
        return self._deployed(lambda: self.decoder(self.quantizer.dequantize(symbols).to(self.weight_dtype), size))

    def _deployed(self, compute: Callable[[], Tensor]) -> Tensor:
        """Runs `compute` in eval mode and puts the unit's mode back."""
        if not self.training:
            return compute()
        self.eval()
        try:
            return compute()
        finally:
            self.train()
