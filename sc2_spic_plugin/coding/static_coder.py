"""The deployed entropy coder: fixed integer tables per channel, or per channel and position, with an escape symbol."""

import zlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import TableError
from .escape import decode_escaped, encode_escaped, escaped_bits
from .range_codec import PRECISION, build_model, take
from .symbol_arrays import as_symbols
from .table_coder import TableCoder
from .tables import Tables, build_tables, check_tables, count_symbols

__all__ = ["StaticCoder"]

_MAX_FITTED_ALPHABET = 256
_MAX_FITTED_COUNTS = 1 << 22


class _Plan(NamedTuple):
    """How the symbols of one latent size are coded."""

    order: np.ndarray
    """(C * h * w,): symbols sorted by table."""
    tables: np.ndarray
    """(C * h * w,): the table of each symbol."""
    runs: list[tuple[slice, Any]]
    """Which of the sorted symbols each table's model codes."""


class StaticCoder(TableCoder):
    """Codes integer tensors (C, h, w) with fixed integer tables; decoding returns exactly what was encoded.

        symbols ─► sorted by table ─► range coder, table after table ─► values that escaped ─► shortest code

    At the default latent size the table depends on channel and position, at any other on the channel.

    Args:
        frequencies: (K, A + 1) integers, each row sums to 2**24, each entry at least 1. Column s < A is symbol s, the
            last one is the escape symbol for everything else.
        channel_assignment: (C,), which table codes a channel.
        assignment: (C, h * w), which table codes a channel at a position of the default latent size, or None.
        latent_size: default height and width of the latent; needed with `assignment`.

    Raises:
        TableError: the tables are not what is said above.
    """

    kind = "static coder 1"
    array_names = ("frequencies", "channel_assignment", "assignment", "latent_size")

    def __init__(
        self,
        frequencies: np.ndarray,
        channel_assignment: np.ndarray,
        assignment: np.ndarray | None = None,
        latent_size: Sequence[int] | None = None,
    ) -> None:
        self.frequencies = _frozen(frequencies, np.int32)
        self.channel_assignment = _frozen(channel_assignment, np.uint8)
        channels = len(self.channel_assignment)
        self.assignment = _frozen(np.zeros((channels, 0)) if assignment is None else assignment, np.uint8)
        self.latent_size = (int(latent_size[0]), int(latent_size[1])) if latent_size is not None else (0, 0)
        check_tables(Tables(self.frequencies, self.assignment, self.channel_assignment), self.latent_size)
        self._models = [build_model(row) for row in self.frequencies]
        self._plan = lru_cache(maxsize=8)(self._make_plan)

    @classmethod
    def fit(
        cls,
        symbols: Tensor | np.ndarray,
        alphabet_size: int | None = None,
        max_tables: int = 64,
        positions: bool = True,
    ) -> "StaticCoder":
        """Counts symbols and builds a coder for more of their kind.

        Args:
            symbols: (N, C, h, w) integers; h and w become the default latent size.
            alphabet_size: symbols that have a place in the tables; default: up to the largest one seen, at most 256.
            max_tables: the most tables there may be.
            positions: False for tables per channel only.
        """
        array = as_symbols(symbols, dimensions=4)
        count, channels, height, width = array.shape
        if alphabet_size is None:
            alphabet_size = min(max(int(array.max(initial=0)) + 1, 1), _MAX_FITTED_ALPHABET)
        flat = array.reshape(count, channels, height * width)
        if not positions or flat[0:1].size * (alphabet_size + 1) > _MAX_FITTED_COUNTS:
            flat = flat.transpose(0, 2, 1).reshape(-1, channels, 1)
        tables = build_tables(count_symbols(flat, alphabet_size), max_tables=max_tables)
        if tables.assignment.shape[1] == 0:
            return cls(tables.frequencies, tables.channel_assignment)
        return cls(tables.frequencies, tables.channel_assignment, tables.assignment, (height, width))

    @property
    def channels(self) -> int:
        """Channels of the latents that it codes."""
        return len(self.channel_assignment)

    @property
    def alphabet_size(self) -> int:
        """Symbols 0..alphabet_size-1 have a place in the tables; all others escape."""
        return self.frequencies.shape[1] - 1

    def append(self, encoder: Any, symbols: np.ndarray) -> None:
        """Appends (C, h, w) int32 symbols to a code that holds more than them."""
        plan = self._plan(*symbols.shape[1:])
        # the order is a permutation; this mode is the fast one
        values = symbols.reshape(-1).take(plan.order, mode="clip")
        columns = values
        escapes = values.size > 0 and int(values.view(np.uint32).max()) >= self.alphabet_size
        if escapes:
            columns = _columns(values, self.alphabet_size)
        encode = encoder.encode
        for run, model in plan.runs:
            encode(columns[run], model)
        if escapes:
            encode_escaped(encoder, values[columns == self.alphabet_size], self.alphabet_size)

    def take(self, decoder: Any, shape: tuple[int, int, int]) -> np.ndarray:
        """Reads the symbols (C, h, w) int32 that `append` appended.

        Raises:
            BitstreamError: the code was damaged or made with other tables.
        """
        plan = self._plan(*shape[1:])
        grouped = np.empty(len(plan.order), dtype=np.int32)
        for run, model in plan.runs:
            grouped[run] = take(decoder, model, run.stop - run.start)
        escaped = np.flatnonzero(grouped == self.alphabet_size)
        if escaped.size:
            grouped[escaped] = decode_escaped(decoder, escaped.size, self.alphabet_size)
        symbols = np.empty_like(grouped)
        symbols[plan.order] = grouped
        return symbols.reshape(shape)

    def ideal_bits(self, symbols: Tensor | np.ndarray) -> float:
        """Returns the code length of (C, h, w) integers under these tables, in bits, escapes included."""
        array = as_symbols(symbols, 3, self.channels)
        flat = array.reshape(-1)
        columns = _columns(flat, self.alphabet_size)
        bits = float(self._code_lengths[self._plan(*array.shape[1:]).tables, columns].sum())
        escaped = flat[columns == self.alphabet_size]
        return bits + (escaped_bits(escaped, self.alphabet_size) if escaped.size else 0.0)

    @cached_property
    def table_bytes(self) -> int:
        """Bytes of the tables as they would be shipped: deflated integers."""
        parts = (self.frequencies.astype("<i4"), self.assignment, self.channel_assignment)
        return len(zlib.compress(b"".join(part.tobytes() for part in parts), 9))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns what `from_arrays` needs, all of it integers."""
        return {
            "frequencies": self.frequencies,
            "channel_assignment": self.channel_assignment,
            "assignment": self.assignment,
            "latent_size": np.array(self.latent_size, dtype=np.int32),
        }

    @cached_property
    def _code_lengths(self) -> np.ndarray:
        return PRECISION - np.log2(self.frequencies)

    def _make_plan(self, height: int, width: int) -> _Plan:
        if (height, width) == self.latent_size and self.assignment.shape[1]:
            tables = self.assignment.reshape(-1)
        else:
            tables = np.repeat(self.channel_assignment, height * width)
        bounds = np.concatenate([[0], np.cumsum(np.bincount(tables, minlength=len(self.frequencies)))]).tolist()
        runs = [
            (slice(start, stop), self._models[table])
            for table, (start, stop) in enumerate(pairwise(bounds))
            if stop > start
        ]
        return _Plan(np.argsort(tables, kind="stable"), tables, runs)


def _frozen(array: np.ndarray, dtype: type) -> np.ndarray:
    """Returns an own read-only copy of integers as `dtype`."""
    array = np.asarray(array)
    copy: np.ndarray = array.astype(dtype)
    if not np.array_equal(copy, array):
        raise TableError(f"tables must be integers that fit {np.dtype(dtype).name}")
    copy.setflags(write=False)
    return copy


def _columns(values: np.ndarray, alphabet_size: int) -> np.ndarray:
    """Column of each symbol; negative numbers are huge when read as unsigned, so one comparison finds all escapes."""
    return np.minimum(values.view(np.uint32), np.uint32(alphabet_size)).view(np.int32)
