"""The range coder: models that honour integer frequencies exactly, and the shortest code that still decodes."""

from typing import Any

import constriction
import numpy as np

from ..errors import BitstreamError

__all__ = ["PRECISION", "TOTAL", "RangeDecoder", "RangeEncoder", "build_model", "encoded_bytes", "open_decoder", "take"]

PRECISION = 24
"""Bits of a probability: what the coder works with."""
TOTAL = 1 << PRECISION
"""Sum of the integer frequencies of one table."""

RangeEncoder = constriction.stream.queue.RangeEncoder
RangeDecoder = constriction.stream.queue.RangeDecoder

_STATE = 1 << 64
_WORD = 1 << 32


def build_model(frequencies: np.ndarray) -> Any:
    """Returns a model whose probabilities are exactly `frequencies / TOTAL`.

    The library gives every symbol one unit and spreads the remaining `TOTAL - n` in proportion to the floats that it
    is given, at a scale of `(TOTAL - n) / sum`. Given the frequencies less one, that scale is exactly one and every
    product and partial sum an integer below 2**24, so nothing is rounded.

    Args:
        frequencies: (n,) integers, n >= 2, each at least 1, together `TOTAL`.
    """
    return constriction.stream.model.Categorical(frequencies.astype(np.float64) - 1.0, perfect=False)


def encoded_bytes(encoder: Any) -> bytes:
    """Returns the shortest bytes that decode to what was encoded, for a decoder that reads zeros past the end.

    Every number in the coder's final interval decodes alike: take one with the most trailing zero bytes, drop those.
    """
    position, (lower, size) = encoder.pos()
    words = encoder.get_compressed()[:position]
    last = lower + size - 1
    if last >= _STATE:  # the interval reaches over the next carry: the number with nothing below the carry is in it
        prefix = int.from_bytes(words.astype(">u4").tobytes(), "big")
        if lower + _WORD - 1 < _STATE:  # the library's own choice of a number did not carry
            prefix += 1
        return prefix.to_bytes(4 * position, "big").rstrip(b"\0")
    bits = (lower - 1 ^ last).bit_length() - 1 if lower else 64
    value = last >> bits << bits
    return (words.astype(">u4").tobytes() + value.to_bytes(8, "big")).rstrip(b"\0")


def open_decoder(code: bytes) -> Any:
    """Returns a decoder at the start of a code; it reads zeros past the end."""
    padded = bytes(code) + bytes(-len(code) % 4)
    return RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32))


def take(decoder: Any, model: Any, amount: int) -> np.ndarray:
    """Decodes `amount` symbols of one model, (amount,) int32.

    Raises:
        BitstreamError: the bytes are not a code of these tables.
    """
    try:
        return decoder.decode(model, amount)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise BitstreamError(
            "the code cannot be decoded with these tables: it is damaged, or was made with other tables; "
            "check that both ends have loaded the same bank and transmit it again"
        ) from error
