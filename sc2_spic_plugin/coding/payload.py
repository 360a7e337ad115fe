"""What crosses the link: a code with a header of one byte, and sizes only where they differ from the default."""

from typing import NamedTuple

from ..errors import BitstreamError, ConfigError
from .varint import read_varint, write_varints

__all__ = ["MAX_EXTRA_SIZES", "MAX_SIZE", "MAX_UNITS", "Payload", "pack_payload", "unpack_payload"]

MAX_UNITS = 64
"""Units of one bank: what six bits can name."""
MAX_SIZE = 1 << 16
"""The largest height, width or other size that a payload may carry."""
MAX_EXTRA_SIZES = 16
"""The most sizes besides those of the latent."""

_MAX_POSITIONS = 1 << 22
_HAS_LATENT_SIZE = 0x40
_HAS_SIZES = 0x80


class Payload(NamedTuple):
    """One coded latent and what its decoder has to know.

    [flags, unit index] [h, w if not the default] [count, sizes if not the default] [code]
     1 byte              varints                   varints
    """

    unit_index: int
    """Which unit of the bank, 0..63."""
    latent_size: tuple[int, int]
    """Height and width of the latent."""
    sizes: tuple[int, ...] = ()
    """Other integers that cross the cut, for example the size of the features."""
    code: bytes = b""
    """The entropy-coded symbols."""


def pack_payload(payload: Payload, default_latent_size: tuple[int, int], default_sizes: tuple[int, ...] = ()) -> bytes:
    """Returns header and code in one string.

    Args:
        payload: what to pack.
        default_latent_size: height and width that the receiver assumes.
        default_sizes: other sizes that the receiver assumes.

    Raises:
        ConfigError: a unit index or size that a header cannot carry.
    """
    if not 0 <= payload.unit_index < MAX_UNITS:
        raise ConfigError(f"unit index {payload.unit_index}: a bank has at most {MAX_UNITS} units")
    latent_size, sizes = tuple(payload.latent_size), tuple(payload.sizes)
    if len(latent_size) != 2 or min(latent_size) < 1 or max(latent_size) > MAX_SIZE:
        raise ConfigError(f"latent size {latent_size}: each side must be 1 to {MAX_SIZE}")
    if latent_size[0] * latent_size[1] > _MAX_POSITIONS:
        raise ConfigError(f"latent size {latent_size}: more than {_MAX_POSITIONS} positions; cut the image into parts")
    if len(sizes) > MAX_EXTRA_SIZES or min(sizes, default=0) < 0 or max(sizes, default=0) > MAX_SIZE:
        raise ConfigError(f"sizes {sizes}: at most {MAX_EXTRA_SIZES}, each 0 to {MAX_SIZE}")
    first, header = payload.unit_index, b""
    if latent_size != tuple(default_latent_size):
        first |= _HAS_LATENT_SIZE
        header += write_varints(latent_size)
    if sizes != tuple(default_sizes):
        first |= _HAS_SIZES
        header += write_varints((len(sizes), *sizes))
    return bytes([first]) + header + payload.code


def unpack_payload(data: bytes, default_latent_size: tuple[int, int], default_sizes: tuple[int, ...] = ()) -> Payload:
    """Splits a payload; the defaults must be those it was packed with. Nothing is allocated by what the header says.

    Raises:
        BitstreamError: no data, or sizes that no sender writes.
    """
    if not data:
        raise BitstreamError("the payload is empty, not even its header is there: transmit it again")
    first, offset = data[0], 1
    latent_size, sizes = default_latent_size, tuple(default_sizes)
    if first & _HAS_LATENT_SIZE:
        height, offset = read_varint(data, offset, MAX_SIZE)
        width, offset = read_varint(data, offset, MAX_SIZE)
        if not 1 <= height * width <= _MAX_POSITIONS:
            raise BitstreamError(f"the payload says latent size {height} x {width}: it is damaged; transmit it again")
        latent_size = (height, width)
    if first & _HAS_SIZES:
        count, offset = read_varint(data, offset, MAX_EXTRA_SIZES)
        read = []
        for _ in range(count):
            size, offset = read_varint(data, offset, MAX_SIZE)
            read.append(size)
        sizes = tuple(read)
    return Payload(first % MAX_UNITS, (int(latent_size[0]), int(latent_size[1])), sizes, bytes(data[offset:]))
