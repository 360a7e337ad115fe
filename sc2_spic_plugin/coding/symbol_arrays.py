"""Taking in symbols and their shapes: torch or numpy, any integer type, checked, as a 32-bit array."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import BitstreamError, TableError

__all__ = ["MAX_SYMBOLS", "as_symbols", "checked_shape"]

MAX_SYMBOLS = 1 << 24
"""The most symbols one code may hold, so that a damaged size cannot ask for all memory."""

_INT32 = np.iinfo(np.int32)


def as_symbols(symbols: Tensor | np.ndarray, dimensions: int, channels: int | None = None) -> np.ndarray:
    """Returns symbols as a contiguous int32 array on the CPU.

    Args:
        symbols: integers of any type; 3 dimensions mean (C, h, w), 4 mean (N, C, h, w).
        dimensions: how many there must be.
        channels: C; None: any.

    Raises:
        TableError: not integers, another number of dimensions or channels, a value that needs more than 32 bits, or
            too many.
    """
    if isinstance(symbols, Tensor):
        if symbols.dtype is not torch.int32 and (symbols.is_floating_point() or symbols.is_complex()):
            raise _not_integers(str(symbols.dtype))
        symbols = symbols.detach().cpu().numpy()
    array = np.asarray(symbols)
    if array.dtype != np.int32:
        if array.dtype.kind not in "iu":
            raise _not_integers(str(array.dtype))
        if array.size and (array.min() < _INT32.min or array.max() > _INT32.max):
            raise TableError("a symbol needs more than 32 bits: check the quantiser step")
        array = array.astype(np.int32)
    if array.ndim != dimensions:
        expected = "(C, h, w)" if dimensions == 3 else "(N, C, h, w)"
        raise TableError(f"symbols of shape {array.shape}: expected {expected}")
    if channels not in (None, array.shape[-3]):
        raise TableError(
            f"the symbols have {array.shape[-3]} channels, this coder {channels}: use the coder that was made for this "
            "unit"
        )
    if array.size > MAX_SYMBOLS and dimensions == 3:
        raise TableError(
            f"{array.size} symbols are more than one code may hold ({MAX_SYMBOLS}): code parts of the latent"
        )
    return np.ascontiguousarray(array)


def checked_shape(shape: Sequence[int], channels: int) -> tuple[int, int, int]:
    """Returns the shape (C, h, w) of a latent that shall be decoded; nothing is allocated before.

    Args:
        shape: as it was received.
        channels: C of the coder.

    Raises:
        BitstreamError: it cannot be right.
    """
    if len(shape) != 3 or shape[0] != channels or min(shape) < 0 or math.prod(shape) > MAX_SYMBOLS:
        raise BitstreamError(
            f"cannot decode a latent of shape {tuple(shape)}: this coder is for {channels} channels and at most "
            f"{MAX_SYMBOLS} symbols; check the unit index and the sizes that came with the code"
        )
    return int(shape[0]), int(shape[1]), int(shape[2])


def _not_integers(dtype: str) -> TableError:
    return TableError(f"symbols must be integers, these are {dtype}: quantise the latent first (`unit.encode` does)")
