"""Geometry of a unit: kernels, paddings and sizes of its strided layers, apart from the unit itself."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..errors import ConfigError

__all__ = ["CoveringGeometry", "Geometry", "Padding", "PublishedGeometry", "published_geometry"]

Size = tuple[int, int]


class Padding(NamedTuple):
    """Rows and columns added to, or cut from, each side of a feature map."""

    left: int
    right: int
    top: int
    bottom: int

    @property
    def symmetric(self) -> bool:
        """True if one number per axis says it all, as convolutions want it."""
        return self.left == self.right and self.top == self.bottom


class Geometry(Protocol):
    """What a unit asks: kernel sizes, and for an input size its latent size, padding and crop."""

    @property
    def stride(self) -> int:
        """Downsampling factor S of the encoder."""

    @property
    def encoder_kernel(self) -> int:
        """Kernel size of the strided convolution."""

    @property
    def decoder_kernel(self) -> int:
        """Kernel size of the strided transposed convolution."""

    def latent_size(self, size: Size) -> Size:
        """Returns (h, w) of the latent for features of (H, W)."""

    def encoder_padding(self, size: Size) -> Padding:
        """Returns the zero padding of features of (H, W) ahead of the strided convolution."""

    def output_size(self, size: Size) -> Size:
        """Returns (H', W') of the decoded features for features of (H, W)."""

    def decoder_crop(self, latent_size: Size, size: Size) -> Padding:
        """Returns what is cut from the full transposed convolution of a latent of (h, w)."""


def _check_stride(stride: int) -> None:
    if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
        raise ConfigError(f"stride must be a whole number of 1 or more, got {stride!r}.")


@dataclass(frozen=True)
class CoveringGeometry:
    """Every input position is seen, every output position reached, and (H, W) comes back exactly.

    The kernel is odd and at least the stride; h = ceil(H / S), and the (h - 1) * S + k positions that h windows span
    are laid over the H input positions as centrally as whole positions allow.
    """

    stride: int

    def __post_init__(self) -> None:
        _check_stride(self.stride)

    @property
    def encoder_kernel(self) -> int:
        """3 for strides up to 3, else the next odd number from the stride on."""
        return max(3, self.stride | 1)

    @property
    def decoder_kernel(self) -> int:
        """The encoder's kernel."""
        return self.encoder_kernel

    def latent_size(self, size: Size) -> Size:
        """Returns ceil(H / S), ceil(W / S)."""
        height, width = size
        if height < 1 or width < 1:
            raise ConfigError(f"features must have at least one row and column, got {height}x{width}.")
        return -(-height // self.stride), -(-width // self.stride)

    def _excess(self, length: int, latent_length: int) -> tuple[int, int]:
        excess = (latent_length - 1) * self.stride + self.encoder_kernel - length
        return excess // 2, excess - excess // 2

    def encoder_padding(self, size: Size) -> Padding:
        """Returns the zeros around features of (H, W)."""
        height, width = size
        rows, columns = self.latent_size(size)
        return Padding(*self._excess(width, columns), *self._excess(height, rows))

    def output_size(self, size: Size) -> Size:
        """Returns (H, W) itself."""
        return size

    def decoder_crop(self, latent_size: Size, size: Size) -> Padding:
        """Returns the mirror image of the encoder's padding."""
        if tuple(latent_size) != self.latent_size(size):
            raise ConfigError(
                f"a latent of {tuple(latent_size)} does not belong to features of {tuple(size)} at stride "
                f"{self.stride}; that would be {self.latent_size(size)}."
            )
        return self.encoder_padding(size)


@dataclass(frozen=True)
class PublishedGeometry:
    """The geometry of the released units: fixed paddings, so that the output size may differ from the input's."""

    stride: int
    padding: int
    decoder_kernel: int
    decoder_padding: int
    encoder_kernel: int = 3

    def __post_init__(self) -> None:
        _check_stride(self.stride)

    def latent_size(self, size: Size) -> Size:
        """Returns floor((H + 2 p - k) / S) + 1, and the same for W."""
        height, width = ((length + 2 * self.padding - self.encoder_kernel) // self.stride + 1 for length in size)
        if height < 1 or width < 1:
            raise ConfigError(f"features of {tuple(size)} are too small for stride {self.stride}.")
        return height, width

    def encoder_padding(self, size: Size) -> Padding:
        """Returns the same padding on every side."""
        return Padding(self.padding, self.padding, self.padding, self.padding)

    def output_size(self, size: Size) -> Size:
        """Returns the size the released decoder gives, whatever (H, W) was."""
        height, width = (
            (length - 1) * self.stride + self.decoder_kernel - 2 * self.decoder_padding
            for length in self.latent_size(size)
        )
        return height, width

    def decoder_crop(self, latent_size: Size, size: Size) -> Padding:
        """Returns the same crop on every side."""
        crop = self.decoder_padding
        return Padding(crop, crop, crop, crop)


def published_geometry(task: str, split: str, stride: int) -> PublishedGeometry:
    """Returns the geometry of a released unit.

    Args:
        task: `classification` or `segmentation`.
        split: `S1`, `S2`, `S3` (supervised), `US1`, `US2` (unsupervised); the number is the split point.
        stride: the stride of the released unit.

    Raises:
        ConfigError: no unit was released for this task and split.

    Source: the authors' released inference code (IntelLabs/spic, MIT).
    """
    point = split.upper().lstrip("US")
    if task not in ("classification", "segmentation") or point not in ("1", "2", "3"):
        raise ConfigError(
            f"no unit was released for task {task!r}, split {split!r}; the tasks are classification and "
            "segmentation, the splits S1, S2, S3, US1 and US2."
        )
    narrow = 3 if stride == 2 else 5
    if task == "classification":
        if point == "3":
            return PublishedGeometry(stride, 1, narrow, 0)
        return PublishedGeometry(stride, 1, 3, 0 if stride == 4 else 1)
    if point == "1":
        return PublishedGeometry(stride, 0, 9 if stride == 8 else 5, 0)
    return PublishedGeometry(stride, 0, narrow, 0)
