"""The two strided layers whose padding and crop follow a geometry at run time."""

import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import Geometry, Size

__all__ = ["Downsample", "Upsample"]


class Downsample(nn.Conv2d):
    """Strided convolution, (B, C_in, H, W) to (B, C_out, h, w), padded as the geometry says."""

    def __init__(self, in_channels: int, out_channels: int, geometry: Geometry, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, geometry.encoder_kernel, geometry.stride, groups=groups, bias=False)
        self.geometry = geometry

    def forward(self, x: Tensor) -> Tensor:
        """Returns the convolution of the padded input."""
        padding = self.geometry.encoder_padding((x.shape[-2], x.shape[-1]))
        if padding.symmetric:
            return F.conv2d(x, self.weight, None, self.stride, (padding.top, padding.left), 1, self.groups)
        return F.conv2d(F.pad(x, padding), self.weight, None, self.stride, 0, 1, self.groups)


class Upsample(nn.ConvTranspose2d):
    """Strided transposed convolution, (B, C_in, h, w) to (B, C_out, H', W'), cropped as the geometry says."""

    def __init__(self, in_channels: int, out_channels: int, geometry: Geometry, groups: int = 1) -> None:
        super().__init__(in_channels, out_channels, geometry.decoder_kernel, geometry.stride, groups=groups, bias=False)
        self.geometry = geometry

    def forward(self, x: Tensor, size: Size) -> Tensor:  # type: ignore[override]
        """Returns the transposed convolution, cropped for features of `size` = (H, W)."""
        rows, columns = x.shape[-2], x.shape[-1]
        crop = self.geometry.decoder_crop((rows, columns), size)
        if crop.symmetric:
            padding = (crop.top, crop.left)
            return F.conv_transpose2d(x, self.weight, None, self.stride, padding, 0, self.groups)
        full = F.conv_transpose2d(x, self.weight, None, self.stride, 0, 0, self.groups)
        return full[..., crop.top : full.shape[-2] - crop.bottom, crop.left : full.shape[-1] - crop.right]
