"""Sending a feature as it is, in float32 or in 8 bits: what any bottleneck has to beat."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchdistill.common.tensor_util import QuantizedTensor, dequantize_tensor, quantize_tensor

from ...errors import ConfigError, DataError, nearest

__all__ = ["PRECISIONS", "CodedFeature", "RawFeature"]

PRECISIONS = ("fp32", "int8")
_RANGE = struct.Struct("<fB")  # scale and zero point


class CodedFeature(NamedTuple):
    """What the server sees, and what it cost."""

    features: Tensor
    payload_bytes: int


@dataclass(frozen=True)
class RawFeature:
    """Sends features (C, H, W) of one image uncompressed: no entropy coding, nothing trained.

        fp32: 4 bytes a value; the server sees the same bits
        int8: 1 byte a value, and 5 bytes for one scale and one zero point (torchdistill's `quantize_tensor`, after
              Jacob et al., CVPR 2018)

    The size of the feature is not sent: it is the same for all images of a protocol, and both ends know it. The
    figures come from bytes that were decoded again, like those of any method: an instance is the codec of sc2bench's
    model for coded features, evaluated by `evaluate` or by `sc2-spic run CONFIG --test-only`:

        model:
          key: 'CodecFeatureCompressionClassifier'
          kwargs:
            codec_encoder_decoder: !import_call
              key: 'sc2_spic_plugin.leaderboard.RawFeature'
              init:
                kwargs:
                  precision: 'int8'

    Args:
        precision: `fp32` or `int8`.

    Raises:
        ConfigError: another precision.
    """

    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Checks the precision."""
        if self.precision not in PRECISIONS:
            raise ConfigError(f"unknown precision `{self.precision}`. {nearest(str(self.precision), PRECISIONS)}")

    def __call__(self, features: Tensor) -> CodedFeature:
        """Sends and receives features (C, H, W).

        Raises:
            DataError: a value that is not finite.
        """
        payload = self.encode(features)
        return CodedFeature(self.decode(payload, features.shape).to(features.device), len(payload))

    def encode(self, features: Tensor) -> bytes:
        """Returns the bytes of features of any shape.

        Raises:
            DataError: a value that is not finite.
        """
        values = features.detach().float().cpu().contiguous()
        if not bool(values.isfinite().all()):
            raise DataError("the feature holds a value that is not finite; check the network's weights and the image.")
        if self.precision == "fp32":
            return values.numpy().astype("<f4").tobytes()
        if bool(values.min() == values.max()):  # no range to divide by
            return _RANGE.pack(float(values.max()), 0) + bytes([1]) * values.numel()
        quantized = quantize_tensor(values)
        return _RANGE.pack(float(quantized.scale), quantized.zero_point) + quantized.tensor.numpy().tobytes()

    def decode(self, payload: bytes, shape: torch.Size) -> Tensor:
        """Returns float32 features of a shape that both ends know."""
        if self.precision == "fp32":
            return torch.frombuffer(bytearray(payload), dtype=torch.float32).view(shape)
        scale, zero_point = _RANGE.unpack_from(payload)
        codes = torch.frombuffer(bytearray(payload[_RANGE.size :]), dtype=torch.uint8)
        return dequantize_tensor(QuantizedTensor(codes, scale, zero_point)).view(shape)
