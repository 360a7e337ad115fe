"""A static coder with modes: each image names the set of tables that codes it in the fewest bits."""

import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import TableError
from .range_codec import PRECISION, TOTAL, build_model, take
from .static_coder import StaticCoder
from .symbol_arrays import as_symbols
from .table_coder import TableCoder

__all__ = ["ModeCoder"]


class ModeCoder(TableCoder):
    """Codes integer tensors (C, h, w) with the cheapest of M sets of tables; decoding returns what was encoded.

        symbols ─► code length in each mode ─► number of the cheapest ─┐
              └──────────────────────────────► its static coder ───────┴─► one code

    The number is coded with a table of its own. At any latent size but the default one the tables are those of the
    channels, there are no modes, and none is named.

    Args:
        frequencies: (K, A + 1) integers, see `StaticCoder`; all modes share them.
        channel_assignment: (C,), which table codes a channel at other latent sizes.
        assignment: (M, C, h * w), which table codes a channel at a position of the default latent size in each mode.
        latent_size: default height and width of the latent.
        mode_frequencies: (M,) integers, sum to 2**24, each at least 1; M is 2 or more.

    Raises:
        TableError: the tables are not what is said above.
    """

    kind = "mode coder 1"
    array_names = ("frequencies", "channel_assignment", "assignment", "latent_size", "mode_frequencies")

    def __init__(
        self,
        frequencies: np.ndarray,
        channel_assignment: np.ndarray,
        assignment: np.ndarray,
        latent_size: Sequence[int],
        mode_frequencies: np.ndarray,
    ) -> None:
        own = np.array(mode_frequencies, dtype=np.int64)
        if own.ndim != 1 or not 2 <= len(own) <= 256 or own.min() < 1 or own.sum() != TOTAL:
            raise TableError(f"the modes' frequencies do not sum to {TOTAL} with 2 to 256 entries of 1 and more")
        if np.ndim(assignment) != 3 or len(assignment) != len(own) or not np.size(assignment):
            raise TableError(f"assignment of shape {np.shape(assignment)} for {len(own)} modes: expected (M, C, P)")
        self.modes = [StaticCoder(frequencies, channel_assignment, each, latent_size) for each in assignment]
        self.latent_size = self.modes[0].latent_size
        self._model = build_model(own)
        own.setflags(write=False)
        self.mode_frequencies = own
        lengths = PRECISION - np.log2(self.modes[0].frequencies)
        tables = np.stack([mode.assignment.reshape(-1) for mode in self.modes], axis=1).astype(np.intp)
        self._base = PRECISION - np.log2(own) + lengths[tables, 0].sum(axis=0)
        self._more = (lengths - lengths[:, :1]).reshape(-1)
        self._rows = tables * lengths.shape[1]

    @property
    def channels(self) -> int:
        """Channels of the latents that it codes."""
        return self.modes[0].channels

    @property
    def alphabet_size(self) -> int:
        """Symbols 0..alphabet_size-1 have a place in the tables; all others escape."""
        return self.modes[0].alphabet_size

    def append(self, encoder: Any, symbols: np.ndarray) -> None:
        """Appends (C, h, w) int32 symbols to a code that holds more than them."""
        mode = 0
        if self._has_modes(symbols.shape):
            mode = int(self._costs(symbols).argmin())
            encoder.encode(np.array([mode], dtype=np.int32), self._model)
        self.modes[mode].append(encoder, symbols)

    def take(self, decoder: Any, shape: tuple[int, int, int]) -> np.ndarray:
        """Reads the symbols (C, h, w) int32 that `append` appended.

        Raises:
            BitstreamError: the code was damaged or made with other tables.
        """
        mode = int(take(decoder, self._model, 1)[0]) if self._has_modes(shape) else 0
        return self.modes[mode].take(decoder, shape)

    def mode_of(self, symbols: Tensor | np.ndarray) -> int:
        """Returns the mode that codes (C, h, w) integers of the default latent size."""
        return int(self._costs(as_symbols(symbols, 3, self.channels)).argmin())

    def ideal_bits(self, symbols: Tensor | np.ndarray) -> float:
        """Returns the code length of (C, h, w) integers under these tables, in bits, mode and escapes included."""
        array = as_symbols(symbols, 3, self.channels)
        if not self._has_modes(array.shape):
            return self.modes[0].ideal_bits(array)
        mode = int(self._costs(array).argmin())
        return self.modes[mode].ideal_bits(array) + PRECISION - float(np.log2(self.mode_frequencies[mode]))

    @cached_property
    def table_bytes(self) -> int:
        """Bytes of the tables as they would be shipped: deflated integers."""
        arrays = self.to_arrays()
        wide = [arrays[name].astype("<i4").tobytes() for name in ("frequencies", "mode_frequencies")]
        narrow = [arrays[name].astype(np.uint8).tobytes() for name in ("assignment", "channel_assignment")]
        return len(zlib.compress(b"".join([*wide, *narrow]), 9))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns what `from_arrays` needs, all of it integers."""
        shared = self.modes[0].to_arrays()
        assignment = np.stack([mode.assignment for mode in self.modes])
        return {**shared, "assignment": assignment, "mode_frequencies": self.mode_frequencies}

    def _has_modes(self, shape: Sequence[int]) -> bool:
        return tuple(shape[1:]) == self.latent_size

    def _costs(self, symbols: np.ndarray) -> np.ndarray:
        """Returns the code length in each mode, (M,), but for what escapes cost, which is the same in all.

        Most symbols are 0: what the others cost more is looked up.
        """
        values = symbols.reshape(-1)
        cells = np.flatnonzero(values)
        columns = np.minimum(values[cells].view(np.uint32), np.uint32(self.alphabet_size)).astype(np.intp)
        places = self._rows[cells]
        places += columns[:, None]
        return self._base + np.ones(len(cells)) @ self._more.take(places, mode="clip")  # faster than their sum
