"""Non-negative integers in as few bytes as they need: seven bits a byte, lowest first."""

from collections.abc import Iterable

from ..errors import BitstreamError

__all__ = ["read_varint", "write_varints"]


def write_varints(values: Iterable[int]) -> bytes:
    """Returns the values one after the other, seven bits a byte, the high bit saying that more follow."""
    out = bytearray()
    for value in values:
        if value < 0:
            raise ValueError(f"cannot write {value}: sizes and lengths are not negative")
        while value >= 0x80:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


def read_varint(data: bytes, offset: int, limit: int) -> tuple[int, int]:
    """Reads one integer.

    Args:
        data: bytes to read from.
        offset: where the integer starts.
        limit: the largest value accepted; reading stops as soon as it is passed.

    Returns:
        The value and the offset behind it.

    Raises:
        BitstreamError: the bytes end inside the integer, or its value is above the limit.
    """
    value = shift = 0
    while True:
        if offset >= len(data):
            raise BitstreamError("the data end inside a size or length: they are truncated; transmit them again")
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        if value > limit or shift > limit.bit_length():
            raise BitstreamError(f"a size or length is above {limit}: the data are damaged; transmit them again")
        offset += 1
        if byte < 0x80:
            return value, offset
        shift += 7
