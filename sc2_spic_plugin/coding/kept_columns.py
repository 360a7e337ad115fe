"""Symbols of many images kept for looking at them together, within a fixed amount of memory."""

import numpy as np

__all__ = ["KeptColumns"]

_MAX_BYTES = 1 << 26


class KeptColumns:
    """Keeps the columns of images as they come; when there are too many, every second is dropped, evenly.

    Args:
        cells: D, symbols per image.
        width: number of columns.
        max_bytes: the most memory they may take.
    """

    def __init__(self, cells: int, width: int, max_bytes: int = _MAX_BYTES) -> None:
        self._type = np.uint8 if width <= 256 else np.uint16
        self._most = max(2, max_bytes // (cells * np.dtype(self._type).itemsize))
        self._cells, self._stride, self._seen = cells, 1, 0
        self._rows: list[np.ndarray] = []

    def add(self, columns: np.ndarray) -> None:
        """Adds images, (B, D) integers below `width`."""
        first = -self._seen % self._stride
        self._seen += len(columns)
        self._rows += list(columns[first :: self._stride].astype(self._type))
        while len(self._rows) > self._most:
            self._rows = [row.copy() for row in self._rows[::2]]  # or they would hold the memory of those dropped
            self._stride *= 2

    def array(self) -> np.ndarray:
        """Returns what is kept, (N, D)."""
        return np.stack(self._rows) if self._rows else np.empty((0, self._cells), self._type)
