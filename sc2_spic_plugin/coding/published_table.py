"""A released symbol table: what its own coder would send, and what ours sends with the same table."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import TableError, nearest
from ..ops import write_atomic
from .huffman import HuffmanCoder
from .static_coder import StaticCoder
from .symbol_arrays import as_symbols
from .tables import shared_frequencies

__all__ = ["PublishedTable"]

_KEYS = ("step", "counts", "source")


@dataclass(frozen=True)
class PublishedTable:
    """Training-set counts of a released unit's symbols, one table for all channels.

        symbols (C, h, w) ─► code lengths of the Huffman code ─► huffman_bytes, as published
                        └──► range coder with the same counts ─► same_table_bytes
                        └──► not in the table ─────────────────► escapes

    A file of it is JSON: `{"step": 4.0, "counts": {"0": 1000, "1": 30}, "source": "where the counts come from"}`.

    Attributes:
        step: quantiser step Q that the symbols were made with.
        counts: how often each symbol occurred.
        source: where the counts come from.

    Raises:
        TableError: a step that is not positive, no counts, or a symbol or count that is no whole number.
    """

    step: float
    counts: Mapping[int, int]
    source: str = ""
    _coders: dict[int, StaticCoder] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.step, int | float) or not math.isfinite(self.step) or self.step <= 0:
            raise TableError(f"the step of a published table must be a positive number, got {self.step!r}")
        if not isinstance(self.counts, Mapping) or not self.counts:
            raise TableError("a published table needs `counts`: how often each symbol occurred")
        counts = {_whole(symbol, "symbol", 0): _whole(count, "count", 1) for symbol, count in self.counts.items()}
        object.__setattr__(self, "counts", dict(sorted(counts.items())))

    @classmethod
    def load(cls, path: str | Path) -> "PublishedTable":
        """Reads a table's file.

        Raises:
            TableError: the file is missing or is no such table.
        """
        path = Path(path).expanduser()
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise TableError(f"no published table at {path}; `sc2-spic import` writes it beside the config") from error
        except (OSError, ValueError) as error:
            raise TableError(f"{path} cannot be read as a published table ({error}); import the unit again") from error
        if not isinstance(content, dict):
            raise TableError(f"{path} holds no published table; expected a mapping with {', '.join(_KEYS)}")
        for key in content:
            if key not in _KEYS:
                raise TableError(f"unknown key `{key}` in {path}. {nearest(key, _KEYS)}")
        if "step" not in content or "counts" not in content:
            raise TableError(f"{path} needs `step` and `counts`; import the unit again")
        try:
            return cls(content["step"], content["counts"], str(content.get("source", "")))
        except TableError as error:
            raise TableError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> Path:
        """Writes the table's file."""
        counts = {str(symbol): count for symbol, count in self.counts.items()}
        content = {"step": self.step, "counts": counts, "source": self.source}
        return write_atomic(path, json.dumps(content, indent=1) + "\n")

    @property
    def alphabet_size(self) -> int:
        """One more than the largest symbol; gaps below it have a place in our table but not in the released one."""
        return max(self.counts) + 1

    def check_step(self, step: float) -> None:
        """Refuses a unit that makes other symbols.

        Raises:
            TableError: the unit's step is not the table's.
        """
        if not math.isclose(step, self.step, rel_tol=1e-6):
            raise TableError(
                f"the published table was counted at step {self.step:g}, the unit has step {step:g}: "
                "give the table of this unit"
            )

    def lengths(self, symbols: Tensor | np.ndarray) -> dict[str, int | None]:
        """Returns what one image's symbols (C, h, w) would cost.

        Returns:
            `huffman_bytes`: bytes of the published coder (end mark and padding included), None where it has no code
            for a symbol; `same_table_bytes`: bytes of our coder with the same table; `escapes`: symbols that the
            published table lacks.

        Raises:
            TableError: not integers of shape (C, h, w).
        """
        array = as_symbols(symbols, dimensions=3)
        flat = array.reshape(-1)
        inside = (flat >= 0) & (flat < self.alphabet_size)
        bits = self._code_lengths[np.where(inside, flat, 0)]
        escapes = int(np.count_nonzero(~inside | (bits == 0)))
        return {
            "huffman_bytes": None if escapes else -(-int(bits.sum()) // 8),
            "same_table_bytes": len(self._coder(array.shape[0]).encode(array)),
            "escapes": escapes,
        }

    @cached_property
    def _code_lengths(self) -> np.ndarray:
        """Bits of each symbol's Huffman code, 0 where there is none.

        The end mark is a symbol of the code and lengthens others, but is sent only to fill up the last byte.
        """
        lengths = np.zeros(self.alphabet_size, dtype=np.int64)
        for symbol, bits in HuffmanCoder(self.counts).code_lengths.items():
            lengths[symbol] = bits
        return lengths

    def _coder(self, channels: int) -> StaticCoder:
        if channels not in self._coders:
            frequencies = shared_frequencies(self.counts, self.alphabet_size)[None]
            self._coders[channels] = StaticCoder(frequencies, np.zeros(channels, dtype=np.uint8))
        return self._coders[channels]


def _whole(value: Any, what: str, least: int) -> int:
    """Returns a whole number; JSON's keys are texts."""
    try:
        number = int(value)
        exact = isinstance(value, str) or number == value
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact or isinstance(value, bool) or number < least:
        raise TableError(f"a {what} of a published table must be a whole number of {least} or more, got {value!r}")
    return number
