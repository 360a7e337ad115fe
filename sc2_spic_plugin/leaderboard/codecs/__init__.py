"""Image codecs and uncompressed rows, on the network's input and on a feature."""

from .image_codecs import CODECS, EXTERNAL_CODECS, CodecPoint, CodedImage, codec_ladder, unavailable_reason
from .uncompressed import RawFeature

__all__ = [
    "CODECS",
    "EXTERNAL_CODECS",
    "CodecPoint",
    "CodedImage",
    "RawFeature",
    "codec_ladder",
    "unavailable_reason",
]
