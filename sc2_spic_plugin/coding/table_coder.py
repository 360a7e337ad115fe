"""What coders of fixed integer tables share: whole codes from what they append to and take from a range coder."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import TableError
from .range_codec import RangeEncoder, encoded_bytes, open_decoder
from .symbol_arrays import as_symbols, checked_shape

__all__ = ["TableCoder"]


class TableCoder(ABC):
    """Codes integer tensors (C, h, w); decoding returns exactly what was encoded.

    An object never changes once made: threads may share it.
    """

    kind: ClassVar[str]
    """Begins what the digest is made of."""
    array_names: ClassVar[tuple[str, ...]]
    """Names of the arrays that it is made of, in the order of its arguments."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the latents that it codes."""

    @abstractmethod
    def append(self, encoder: Any, symbols: np.ndarray) -> None:
        """Appends (C, h, w) int32 symbols to a code that holds more than them."""

    @abstractmethod
    def take(self, decoder: Any, shape: tuple[int, int, int]) -> np.ndarray:
        """Reads the symbols (C, h, w) int32 that `append` appended.

        Raises:
            BitstreamError: the code was damaged or made with other tables.
        """

    @abstractmethod
    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns what `from_arrays` needs, all of it integers."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuilds a coder from `to_arrays`.

        Raises:
            TableError: an array is missing or does not fit the others.
        """
        missing = sorted(set(cls.array_names) - set(arrays))
        if missing:
            raise TableError(f"the tables lack {', '.join(missing)}: write them again with `to_arrays`")
        return cls(*(arrays[name] for name in cls.array_names))

    def encode(self, symbols: Tensor | np.ndarray) -> bytes:
        """Returns the code of (C, h, w) integers: no header, as short as still decodes, maybe empty.

        Raises:
            TableError: not integers, another number of channels, or a value that is no 32-bit integer.
        """
        return self._encode(as_symbols(symbols, 3, self.channels))

    def encode_batch(self, symbols: Tensor | np.ndarray) -> list[bytes]:
        """Returns the code of each of (B, C, h, w) integers."""
        return [self._encode(sample) for sample in as_symbols(symbols, 4, self.channels)]

    def decode(self, code: bytes, shape: Sequence[int]) -> Tensor:
        """Returns the symbols of a code, `shape` (C, h, w), int32, on the CPU.

        Damaged bytes give wrong symbols or an error, never a crash.

        Raises:
            BitstreamError: the code was damaged or made with other tables, or the shape cannot be right.
        """
        return torch.from_numpy(self.take(open_decoder(code), checked_shape(shape, self.channels)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the tables: equal digests code alike."""
        digest = hashlib.sha256(self.kind.encode())
        for name, array in sorted(self.to_arrays().items()):
            digest.update(f"|{name}|{array.shape}|".encode())
            digest.update(array.astype("<i4").tobytes())
        return digest.hexdigest()

    def __reduce__(self) -> tuple:
        """Copies and pickles by its tables."""
        return type(self).from_arrays, (self.to_arrays(),)

    def _encode(self, array: np.ndarray) -> bytes:
        encoder = RangeEncoder()
        self.append(encoder, array)
        return encoded_bytes(encoder)
