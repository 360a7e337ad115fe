"""Image codecs on the network's input, coded and decoded by sc2bench's own PILImageModule, BPGModule and VTMModule."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "CODECS",
    "EXTERNAL_CODECS",
    "Codec",
    "CodecPoint",
    "CodedImage",
    "unavailable_reason",
]


class Codec(NamedTuple):
    """A Pillow format, BPG or VTM, with fair settings.

    Attributes:
        save_kwargs: options of Pillow's `save`; for BPG those of `PixelBpg`, for VTM those of `CheckedVtm`.
        needs: what must be there: a Pillow feature, a package or a program.
        last_quality: the end of the codec's own scale.
        subsamplings: options for each chroma subsampling that can be chosen.
    """

    save_kwargs: Mapping[str, Any]
    needs: str
    last_quality: int = 100
    subsamplings: Mapping[str, Mapping[str, Any]] = {}


_BPG_OPTIONS = {"encoder": "jctvc", "subsampling_mode": "420", "color_mode": "ycbcr", "bit_depth": "8"}


_JPEG_SUBSAMPLINGS = {"420": "4:2:0", "422": "4:2:2", "444": "4:4:4"}

CODECS: dict[str, Codec] = {
    "jpeg": Codec(
        {"format": "JPEG", "optimize": True},
        "jpg",
        subsamplings={name: {"subsampling": value} for name, value in _JPEG_SUBSAMPLINGS.items()},
    ),
    "webp": Codec({"format": "WEBP", "method": 6}, "webp"),
    "heic": Codec(
        {"format": "HEIF"},
        "pillow_heif",
        subsamplings={name: {"chroma": int(name)} for name in ("420", "422", "444")},
    ),
    "bpg": Codec(
        _BPG_OPTIONS,
        "bpgenc",
        51,
        subsamplings={name: {"subsampling_mode": name} for name in ("420", "444")},
    ),
    "vtm": Codec({"color_mode": "ycbcr"}, "vtm", 63),
    "png": Codec({"format": "PNG", "optimize": True}, "zlib"),
}
EXTERNAL_CODECS = ("bpg", "vtm")
"""Codecs that are programs of their own, an encoder and a decoder; their quality is a quantiser."""
_LOSSLESS = ("png",)


class CodedImage(NamedTuple):
    """What the server sees, and what it cost."""

    image: "Image.Image"
    payload_bytes: int


@dataclass(frozen=True)
class CodecPoint:
    """One codec at one quality.

    Attributes:
        codec: key of `CODECS`.
        quality: the codec's own scale, 0 to 100, higher is better; None for lossless. BPG's is the quantiser of HEVC,
            0 to 51, VTM's that of VVC, 0 to 63, where *lower is better*.
        save_kwargs: options beyond the table's, for example `{"encoder": "x265"}` for BPG.
        scale: below 1 the image is reduced before coding and enlarged after decoding.
        subsampling: of the chroma, `420`, `422` or `444` as far as the codec has them; None: the codec's default,
            which is `420` for all but VTM (`444`, all that sc2bench's module codes).

    Called with an image, a point is what sc2bench's models for coded input take; test batches are of one image:

        model:
          key: 'CodecInputCompressionSegmentationModel'
          kwargs:
            codec_encoder_decoder: !import_call
              key: 'sc2_spic_plugin.leaderboard.CodecPoint'
              init:
                kwargs:
                  codec: 'jpeg'
                  quality: 35
    """

    codec: str
    quality: int | None = None
    save_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scale: float = 1.0
    subsampling: str | None = None

    def __post_init__(self) -> None:
        """Checks codec, quality, scale and subsampling.

        Raises:
            ConfigError: an unknown codec, a quality outside its scale, a scale outside (0, 1], or a subsampling that
                the codec does not have.
        """
        if self.codec not in CODECS:
            raise ConfigError(f"Unknown codec `{self.codec}`. {nearest(self.codec, CODECS)}")
        last = CODECS[self.codec].last_quality
        if self.codec in _LOSSLESS:
            if self.quality is not None:
                raise ConfigError(f"`{self.codec}` is lossless and has no quality.")
        elif isinstance(self.quality, bool) or not isinstance(self.quality, int) or not 0 <= self.quality <= last:
            raise ConfigError(f"`{self.codec}` needs a whole quality from 0 to {last}, got {self.quality!r}.")
        if not 0 < self.scale <= 1:
            raise ConfigError(f"The scale before coding must be above 0 and at most 1, got {self.scale}.")
        offered = CODECS[self.codec].subsamplings
        if self.subsampling is not None and self.subsampling not in offered:
            choice = f"choose {', '.join(f'`{name}`' for name in offered)}" if offered else "leave it out"
            raise ConfigError(f"`{self.codec}` has no choice of subsampling {self.subsampling!r}; {choice}.")

    @property
    def options(self) -> dict[str, Any]:
        """Every option that Pillow, or the module of an external codec, is given."""
        codec = CODECS[self.codec]
        quality = {} if self.quality is None else {"quality": self.quality}
        subsampling = {} if self.subsampling is None else codec.subsamplings[self.subsampling]
        return {**codec.save_kwargs, **quality, **subsampling, **self.save_kwargs}

    @property
    def name(self) -> str:
        """Short name of the point: `q35`, `q35 420`, `q35 x0.5`; `qp35` where it is a quantiser."""
        letter = "qp" if self.codec in EXTERNAL_CODECS else "q"
        parts = ["lossless" if self.quality is None else f"{letter}{self.quality}"]
        parts += [] if self.subsampling is None else [self.subsampling]
        parts += [str(value) for _, value in sorted(self.save_kwargs.items())]
        parts += [f"x{self.scale:g}"] if self.scale != 1 else []
        return " ".join(parts)

    @property
    def sha256(self) -> str:
        """Digest of everything that decides the bytes, the library version apart."""
        values = {"codec": self.codec, "options": self.options, "scale": self.scale}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def __call__(self, image: "Image.Image") -> CodedImage:
        """Codes an image and decodes it again, as `transmit` does."""
        return self.transmit(image)

    def transmit(self, image: "Image.Image") -> CodedImage:
        """Codes an image and decodes it again.

        Args:
            image: resized and cropped as the protocol says, any mode that converts to RGB.

        Returns:
            The decoded RGB image in the size of the input, and the bytes of the coded one.

        Raises:
            ConfigError: the codec is not installed.
            DataError: the codec failed on this image.
        """
        reason = unavailable_reason(self.codec, self.options)
        if reason:
            raise ConfigError(f"`{self.codec}` cannot be used: {reason}")
        return self._transmit(image)

    def _transmit(self, image: "Image.Image") -> CodedImage:
        from PIL import Image

        source = image.convert("RGB")
        source.info.clear()  # Pillow would write comments, colour profiles and EXIF into the bytes
        size = source.size
        if self.scale != 1:
            small = (max(1, round(size[0] * self.scale)), max(1, round(size[1] * self.scale)))
            source = source.resize(small, Image.Resampling.LANCZOS)
        try:
            decoded, payload_bytes = self._module()(source)
            decoded = decoded.convert("RGB")  # Pillow decodes lazily: here
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise DataError(f"`{self.codec}` {self.name} failed on an image of {size[0]}x{size[1]}: {error}") from error
        if decoded.size != source.size:
            raise DataError(f"`{self.codec}` {self.name} returned {decoded.size} for an image of {source.size}.")
        return CodedImage(decoded if self.scale == 1 else decoded.resize(size, Image.Resampling.BICUBIC), payload_bytes)

    def _module(self) -> Any:
        """Returns the module of sc2bench that codes and decodes: image -> (image, bytes)."""
        if self.codec == "bpg":
            from .bpg import PixelBpg

            return PixelBpg(**self.options)
        if self.codec == "vtm":
            from .vtm import CheckedVtm

            return CheckedVtm(**self.options)
        import torchvision  # noqa: F401 - sc2bench.transforms needs it imported first
        from sc2bench.transforms.codec import PILImageModule

        return PILImageModule(returns_file_size=True, **self.options)


def unavailable_reason(codec: str, options: Mapping[str, Any] | None = None) -> str | None:
    """Returns why a codec cannot be used here and what to do, or None if it can; registers Pillow plugins it needs.

    Args:
        codec: key of `CODECS`.
        options: a point's own options, by default the table's: BPG's programs may contain one HEVC encoder only.

    Raises:
        ConfigError: an unknown codec.
    """
    if codec not in CODECS:
        raise ConfigError(f"Unknown codec `{codec}`. {nearest(codec, CODECS)}")
    needs = CODECS[codec].needs
    if needs == "bpgenc":
        from .bpg import bpg_unavailable_reason

        return bpg_unavailable_reason(str({**CODECS[codec].save_kwargs, **(options or {})}["encoder"]))
    if needs == "vtm":
        from .vtm import vtm_unavailable_reason

        return vtm_unavailable_reason()
    if needs == "pillow_heif":
        try:
            import pillow_heif
        except ImportError:
            return "the package pillow-heif is not installed; `pip install pillow-heif`"
        pillow_heif.register_heif_opener()
        if not pillow_heif.libheif_info().get("HEIF"):
            return "this build of pillow-heif has no HEVC encoder; install the wheel from the package registry"
        return None
    from PIL import features

    return None if features.check(needs) else f"this build of Pillow lacks {needs}; `pip install --upgrade pillow`"
