"""Image codecs on features: sc2bench's PILTensorModule, with fair settings and the bytes that have to be sent."""

from dataclasses import dataclass

import torchvision  # noqa: F401 - sc2bench.transforms needs it imported first
from sc2bench.transforms.codec import PILTensorModule
from torch import Tensor
from torchdistill.common.file_util import get_binary_object_size

from ...errors import ConfigError, DataError, nearest
from .image_codecs import CodecPoint
from .uncompressed import CodedFeature

__all__ = ["FEATURE_CODECS", "FeatureCodec"]

FEATURE_CODECS = ("jpeg", "webp")
_RANGE_BYTES = 8
"""Two float32 values, by which the receiver undoes the scaling of one picture."""


@dataclass(frozen=True)
class FeatureCodec:
    """Codes features (C, H, W) as pictures of three channels each and decodes them again.

    All of that is sc2bench's, with JPEG optimised and WebP at its best method. The bytes are not: sc2bench counts the
    minimum and maximum of each picture as pickled tensors, 96,000 bytes at 171 pictures (512 channels).
    Here they are two float32 values each. An instance is the codec of sc2bench's model for coded features:

        model:
          key: 'CodecFeatureCompressionClassifier'
          kwargs:
            codec_encoder_decoder: !import_call
              key: 'sc2_spic_plugin.leaderboard.codecs.feature_codec.FeatureCodec'
              init:
                kwargs:
                  codec: 'jpeg'
                  quality: 50

    Args:
        codec: `jpeg` or `webp`.
        quality: 0 to 100, higher is better.

    Raises:
        ConfigError: another codec, or a quality outside its scale.
    """

    codec: str
    quality: int

    def __post_init__(self) -> None:
        """Checks codec and quality."""
        if self.codec not in FEATURE_CODECS:
            raise ConfigError(f"no features are coded with `{self.codec}`. {nearest(str(self.codec), FEATURE_CODECS)}")
        CodecPoint(self.codec, self.quality)

    def __call__(self, features: Tensor) -> CodedFeature:
        """Codes the features of one image and decodes them again.

        Raises:
            DataError: the codec failed, or a value is not finite.
        """
        if not bool(features.isfinite().all()):
            raise DataError("the feature holds a value that is not finite; check the network's weights and the image.")
        module = PILTensorModule(returns_file_size=True, **CodecPoint(self.codec, self.quality).options)
        try:
            decoded, counted = module(features)
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise DataError(f"`{self.codec}` q{self.quality} failed on a feature: {error}") from error
        pictures = _pictures(features)
        lows, highs = [picture.min() for picture in pictures], [picture.max() for picture in pictures]
        pickled = sum(get_binary_object_size(values, unit_size=1) for values in (lows, highs))
        return CodedFeature(decoded, int(counted - pickled) + _RANGE_BYTES * len(pictures))


def _pictures(features: Tensor) -> list[Tensor]:
    """Returns the channels by threes, as sc2bench takes them: two that are left over become two pictures."""
    pictures = list(features.split(3, dim=0))
    return pictures if len(pictures[-1]) != 2 else [*pictures[:-1], *pictures[-1].split(1, dim=0)]
