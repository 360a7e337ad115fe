"""What crosses the link: a code with a header of one byte, and sizes only where they differ from the default."""

from typing import NamedTuple

from ..errors import BitstreamError, ConfigError
from .varint import read_varint, write_varints

__all__ = ["MAX_SIZE", "MAX_SIZES", "MAX_UNITS", "Payload", "pack_payload", "unpack_payload"]

MAX_UNITS = 64
"""Units of one bank: what six bits can name."""
MAX_SIZE = 1 << 16
"""The largest height, width or other size that a payload may carry."""
MAX_SIZES = 16
"""The most sizes of one payload."""

_MAX_POSITIONS = 1 << 24
_HAS_SIZES = 0x80


class Payload(NamedTuple):
    """One coded latent and what its decoder has to know.

    [flag, unit index] [count, sizes if not the default] [code]
     1 byte             varints
    """

    unit_index: int
    """Which unit of the bank, 0..63."""
    sizes: tuple[int, ...]
    """Height and width of the features at the cut, then any other integers that cross it."""
    code: bytes = b""
    """The entropy-coded symbols."""


def pack_payload(payload: Payload, default_sizes: tuple[int, ...]) -> bytes:
    """Returns header and code in one string.

    Args:
        payload: what to pack.
        default_sizes: the sizes that the receiver assumes.

    Raises:
        ConfigError: a unit index or size that a header cannot carry.
    """
    if not 0 <= payload.unit_index < MAX_UNITS:
        raise ConfigError(f"unit index {payload.unit_index}: a bank has at most {MAX_UNITS} units")
    sizes = tuple(payload.sizes)
    if not 2 <= len(sizes) <= MAX_SIZES or min(sizes) < 0 or max(sizes) > MAX_SIZE:
        raise ConfigError(f"sizes {sizes}: 2 to {MAX_SIZES} of them, each 0 to {MAX_SIZE}")
    if not 1 <= sizes[0] * sizes[1] <= _MAX_POSITIONS:
        raise ConfigError(
            f"features of {sizes[0]} x {sizes[1]}: 1 to {_MAX_POSITIONS} positions; cut the image into parts"
        )
    if sizes == tuple(default_sizes):
        return bytes([payload.unit_index]) + payload.code
    return bytes([payload.unit_index | _HAS_SIZES]) + write_varints((len(sizes), *sizes)) + payload.code


def unpack_payload(data: bytes, default_sizes: tuple[int, ...]) -> Payload:
    """Splits a payload; the defaults must be those it was packed with. Nothing is allocated by what the header says.

    Raises:
        BitstreamError: no data, or sizes that no sender writes.
    """
    if not data:
        raise BitstreamError("the payload is empty, not even its header is there: transmit it again")
    first, offset = data[0], 1
    sizes = tuple(default_sizes)
    if first & _HAS_SIZES:
        count, offset = read_varint(data, offset, MAX_SIZES)
        read = []
        for _ in range(count):
            size, offset = read_varint(data, offset, MAX_SIZE)
            read.append(size)
        sizes = tuple(read)
        if count < 2 or not 1 <= sizes[0] * sizes[1] <= _MAX_POSITIONS:
            raise BitstreamError(f"the payload says sizes {sizes}: it is damaged; transmit it again")
    if first & 0x40:
        raise BitstreamError("the payload's first byte is not one a sender writes: it is damaged; transmit it again")
    return Payload(first % MAX_UNITS, sizes, bytes(data[offset:]))
