"""Image codecs and uncompressed rows, on the network's input and on a feature."""

from .image_codecs import CODECS, EXTERNAL_CODECS, CodecPoint, CodedImage, unavailable_reason
from .uncompressed import RawFeature

__all__ = [
    "CODECS",
    "EXTERNAL_CODECS",
    "CodecPoint",
    "CodedImage",
    "RawFeature",
    "unavailable_reason",
]
