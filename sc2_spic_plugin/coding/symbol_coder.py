"""What every coder of a unit's symbols offers."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

__all__ = ["SymbolCoder"]


class SymbolCoder(Protocol):
    """Codes integer tensors (C, h, w) of one unit; decoding returns exactly what was encoded."""

    @property
    def channels(self) -> int:
        """Channels of the latents that it codes."""

    @property
    def table_bytes(self) -> int:
        """Bytes that must be shipped for it, beside the unit."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex): equal digests code alike."""

    def encode(self, symbols: Tensor) -> bytes:
        """Returns the code of (C, h, w) integers, without a header."""

    def decode(self, code: bytes, shape: Sequence[int]) -> Tensor:
        """Returns the symbols (C, h, w) of a code, int32, on the CPU."""

    def ideal_bits(self, symbols: Tensor) -> float:
        """Returns the code length of (C, h, w) integers in bits."""
