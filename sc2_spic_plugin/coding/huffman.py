"""The coder of the published results: Huffman through `dahuffman`, one table for all channels."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from dahuffman import HuffmanCodec
from torch import Tensor

from ..errors import BitstreamError, TableError
from .symbol_arrays import as_symbols

__all__ = ["HuffmanCoder"]


class HuffmanCoder:
    """Codes integer tensors with one Huffman table; byte counts, end mark and padding are those of `dahuffman`.

    Here for parity with published byte counts. It has no escape and spends a bit or more on every symbol: use
    `StaticCoder` for anything else.

    Args:
        frequencies: how often each symbol occurs.

    Raises:
        TableError: no symbols, or a frequency that is not positive.
    """

    def __init__(self, frequencies: Mapping[int, float]) -> None:
        if not frequencies or min(frequencies.values()) <= 0:
            raise TableError("a Huffman table needs one symbol or more, each with a positive frequency")
        self.frequencies = {int(symbol): frequency for symbol, frequency in frequencies.items()}
        self._codec = HuffmanCodec.from_frequencies(self.frequencies)

    @classmethod
    def fit(cls, symbols: Tensor | np.ndarray) -> "HuffmanCoder":
        """Counts (N, C, h, w) integers."""
        return cls(Counter(as_symbols(symbols, dimensions=4).reshape(-1).tolist()))

    @property
    def code_lengths(self) -> dict[int, int]:
        """Bits of each symbol's code; a code of one image is their sum, filled up to whole bytes."""
        table = self._codec.get_code_table()
        return {symbol: table[symbol][0] for symbol in self.frequencies}

    def encode(self, symbols: Tensor | np.ndarray) -> bytes:
        """Returns the code of (C, h, w) integers.

        Raises:
            TableError: a symbol that the table lacks, or not integers.
        """
        values = as_symbols(symbols, dimensions=3).reshape(-1).tolist()
        try:
            return self._codec.encode(values)
        except KeyError as error:
            raise TableError(
                f"the Huffman table lacks symbol {error.args[0]}: "
                "count it on more data, or use `StaticCoder`, which has an escape"
            ) from error

    def decode(self, code: bytes, shape: Sequence[int]) -> Tensor:
        """Returns the symbols of a code, `shape` (C, h, w), int32, on the CPU.

        Raises:
            BitstreamError: the code ends before all symbols were read.
        """
        count = math.prod(shape)
        values = list(islice(self._codec.decode_streaming(code), count))
        if len(values) != count:
            raise BitstreamError(
                f"the code ends after {len(values)} of {count} symbols: it is damaged; transmit it again"
            )
        return torch.tensor(values, dtype=torch.int32).reshape(tuple(shape))
