"""The four topologies of a unit (Table 3 of Ahuja et al., CVPR 2023): encoder and decoder of each."""

from collections.abc import Callable

from torch import Tensor, nn

from ..errors import ConfigError, nearest
from .geometry import Geometry, Size
from .strided import Downsample, Upsample

__all__ = ["TOPOLOGIES", "Decoder", "build_topology"]


class Decoder(nn.Module):
    """A chain of layers of which one, the upsampling, is told the size to return."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, latent: Tensor, size: Size) -> Tensor:
        """Maps (B, C_r, h, w) to (B, C, H', W')."""
        x = latent
        for layer in self.layers:
            x = layer(x, size) if isinstance(layer, Upsample) else layer(x)
        return x


def _normalized(layer: nn.Module, channels: int, activation: bool = True) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(channels), *([nn.ReLU(inplace=True)] if activation else [])]


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def _conv(channels: int, latent: int, geometry: Geometry, relu: bool) -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(*_normalized(Downsample(channels, latent, geometry), latent))
    return encoder, Decoder(*_normalized(Upsample(latent, channels, geometry), channels, relu))


def _conv2(channels: int, latent: int, geometry: Geometry, relu: bool) -> tuple[nn.Module, nn.Module]:
    def inner() -> list[nn.Module]:
        return _normalized(nn.Conv2d(latent, latent, 3, padding=1, bias=False), latent)

    encoder = nn.Sequential(*_normalized(Downsample(channels, latent, geometry), latent), *inner())
    return encoder, Decoder(*inner(), *_normalized(Upsample(latent, channels, geometry), channels, relu))


def _separable(channels: int, latent: int, geometry: Geometry, relu: bool) -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(
        *_normalized(Downsample(channels, channels, geometry, groups=channels), channels),
        *_normalized(_pointwise(channels, latent), latent),
    )
    decoder = Decoder(
        *_normalized(_pointwise(latent, channels), channels),
        *_normalized(Upsample(channels, channels, geometry, groups=channels), channels, relu),
    )
    return encoder, decoder


def _separable2(channels: int, latent: int, geometry: Geometry, relu: bool) -> tuple[nn.Module, nn.Module]:
    def inner() -> list[nn.Module]:
        return [*_normalized(_depthwise(latent), latent), *_normalized(_pointwise(latent, latent), latent)]

    encoder, decoder = _separable(channels, latent, geometry, relu)
    return nn.Sequential(encoder, *inner()), Decoder(*inner(), *decoder.layers)  # type: ignore[misc]


TOPOLOGIES: dict[str, Callable[[int, int, Geometry, bool], tuple[nn.Module, nn.Module]]] = {
    "conv": _conv,
    "conv2": _conv2,
    "separable": _separable,
    "separable2": _separable2,
}


def build_topology(
    name: str, in_channels: int, latent_channels: int, geometry: Geometry, output_relu: bool
) -> tuple[nn.Module, nn.Module]:
    """Builds encoder and decoder.

    Args:
        name: `conv` (one k x k layer each way), `conv2` (two), `separable` (one depthwise separable layer, the
            paper's choice) or `separable2` (two).
        in_channels: C of the features.
        latent_channels: C_r of the latent.
        geometry: kernels, paddings and sizes.
        output_relu: whether the decoded features are rectified, as they are after a ResNet block.

    Raises:
        ConfigError: unknown name.
    """
    if name not in TOPOLOGIES:
        raise ConfigError(f"unknown topology `{name}`. {nearest(name, TOPOLOGIES)}")
    return TOPOLOGIES[name](in_channels, latent_channels, geometry, output_relu)
