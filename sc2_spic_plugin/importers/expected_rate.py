"""What a released unit is expected to send, from its own frequency table alone."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ..coding import HuffmanCoder
from .published import PublishedUnit

__all__ = ["ExpectedRate", "expected_rate", "table_images"]

_PADDING_BITS = 3.5
"""Bits that filling up to a whole byte adds on average, each remainder being as likely as any other."""


class ExpectedRate(NamedTuple):
    """Expectation over images whose symbols follow the table, at the image size of the published figures."""

    huffman_bpp: float
    """Bits per image pixel of the released coder's code words: no end mark, no filling up to whole bytes."""
    ideal_bpp: float
    """Bits per image pixel of an ideal coder of the same table: its entropy."""
    huffman_bytes: float
    """Bytes per image of the released coder as published figures count them, filled up to whole bytes."""

    @property
    def saving(self) -> float:
        """Share of the Huffman code that an ideal coder of the same table saves, 0 to 1."""
        return 1.0 - self.ideal_bpp / self.huffman_bpp


def expected_rate(unit: PublishedUnit) -> ExpectedRate:
    """Returns the expected rate of a released unit.

    The Huffman code is that of the released coder, whose end mark has a place in the tree and so may lengthen the
    codes of rare symbols. The end mark itself is sent only as far as it fills up the last byte.

    Raises:
        TableError: the table is missing, refused, or for another step.
    """
    huffman, ideal = _bits_per_symbol(unit.frequencies)
    pixels = unit.point.image_size[0] * unit.point.image_size[1]
    bits = unit.symbols * huffman
    return ExpectedRate(bits / pixels, unit.symbols * ideal / pixels, (bits + _PADDING_BITS) / 8)


def table_images(unit: PublishedUnit) -> float:
    """Returns how many images the table was counted on, if at the image size of the published figures.

    A number that is not whole says that the table was counted at another size, or belongs to another unit.
    """
    return sum(unit.frequencies.values()) / unit.symbols


def _bits_per_symbol(table: Mapping[int, int]) -> tuple[float, float]:
    lengths, total = HuffmanCoder(table).code_lengths, sum(table.values())
    huffman = sum(count * lengths[symbol] for symbol, count in table.items()) / total
    ideal = -sum(count * math.log2(count / total) for count in table.values()) / total
    return huffman, ideal
