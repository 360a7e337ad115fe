"""Modes: groups of images whose symbols go together, so that each group has tables of its own."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from ..errors import TableError
from .tables import count_symbols

__all__ = ["MAX_MODES", "ModeCounts", "count_by_mode", "fit_modes"]

MAX_MODES = 256

_ROUNDS = 25
_STRENGTH = 4.0
"""Counts' worth of all images' distribution that is added to that of a group, while groups are looked for."""
_LENGTH_UNITS = float(1 << 10)  # code lengths in whole units: sums are exact in any order, ties break alike anywhere
_CANDIDATES = 8  # images that are tried as the next seed
_JUDGES = 4  # one image in so many decides how many modes there are


class ModeCounts(NamedTuple):
    """What was counted for each mode."""

    counts: np.ndarray
    """(M, C, P, width): how often each column occurred at a channel and position."""
    images: np.ndarray
    """(M,): how many images are of the mode, each at least 1."""


def count_by_mode(columns: np.ndarray, width: int, max_modes: int) -> ModeCounts | None:
    """Finds the modes of images and counts the columns of each.

    Args:
        columns: (N, C, P) integers below `width`.
        width: number of columns.
        max_modes: see `fit_modes`.

    Returns:
        The counts; None if modes do not pay, or there is no image.
    """
    if not len(columns):
        return None
    groups = np.unique(fit_modes(columns.reshape(len(columns), -1), max_modes), return_inverse=True)[1]
    images = np.bincount(groups)
    if len(images) < 2:
        return None
    return ModeCounts(
        np.stack([count_symbols(columns[groups == mode], width - 1) for mode in range(len(images))]), images
    )


def fit_modes(columns: np.ndarray, max_modes: int) -> np.ndarray:
    """Groups images so that tables of each group's own code them in the fewest bits, the group's number included.

    Symbols of one image depend on each other, above all through what the image shows; a table counts each by itself.
    An image that names its group pays log2(M) bits or less and saves what its symbols have in common with the group's.

        columns ─► for 1, 2, 4, .. groups: k-means, code length as distance, on three quarters of the images
                └► the number of groups under which the other images cost least ─► k-means on all images

    Deterministic, and the same for every order of the images.

    Args:
        columns: (N, D) small non-negative integers: column of each symbol in its table, for N images.
        max_modes: the most groups there may be, at most 256.

    Returns:
        (N,) int64: the group of each image; all 0 if more than one group does not pay.

    Raises:
        TableError: no such array, or another number of modes.
    """
    if columns.ndim != 2 or not columns.size or not 1 <= max_modes <= MAX_MODES:
        raise TableError(f"at most {max_modes} modes for columns of shape {columns.shape}: give 1 to {MAX_MODES}")
    columns, width = _renumbered(columns)
    order = np.lexsort(columns.T[::-1])
    images = _Images(columns[order], width)
    groups = np.empty(len(columns), dtype=np.int64)
    groups[order] = images.groups(_best_number(images, max_modes))
    return groups


def _renumbered(columns: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns the columns without numbers that do not occur, as small integers, and how many there are."""
    occurs = np.zeros(int(columns.max()) + 1, dtype=bool)
    occurs[columns] = True
    number = np.cumsum(occurs) - 1
    return number.astype(np.min_scalar_type(int(number[-1])))[columns], int(number[-1]) + 1


class _Lengths(NamedTuple):
    """Code lengths under the tables of K groups, in whole units."""

    base: np.ndarray
    """(K,): of an image whose symbols are all in column 0, the group's number included."""
    more: np.ndarray
    """(D * width, K): what another column costs more."""


class _Images:
    """Images as sparse indicators of their symbols, all but those of column 0, which most symbols are.

    Args:
        columns: (N, D), in an order that depends on nothing but the images.
        width: how many columns there are.
    """

    def __init__(self, columns: np.ndarray, width: int) -> None:
        self.columns, self.width = columns, width
        rows, cells = np.nonzero(columns)
        places = cells * width + columns[rows, cells].astype(np.int64)
        shape = (len(columns), columns.shape[1] * width)
        self._indicators = csr_matrix((np.ones(len(rows)), (rows, places)), shape=shape)
        counts = self._counts(np.zeros(len(columns), dtype=np.int64), 1)
        self._prior = (counts + 0.5 / width) / (len(columns) + 0.5)

    def __len__(self) -> int:
        return len(self.columns)

    def groups(self, number: int) -> np.ndarray:
        """Returns the group of each image, (N,); seeded by single images, refined until none changes."""
        groups = self._seeds(number)
        for _ in range(_ROUNDS):
            cheapest = self.costs(self.lengths(groups, number)).argmin(axis=1)
            if (cheapest == groups).all():
                break
            groups = cheapest
        return groups

    def _seeds(self, number: int) -> np.ndarray:
        """Returns single images as groups, all others in none (-1): greedy k-means++, with a fixed seed."""
        random, seeds, least = np.random.default_rng(0), list[int](), np.ones(len(self))
        while len(seeds) < number:
            candidates = random.choice(len(self), _CANDIDATES, p=least / least.sum()) if least.any() else np.arange(1)
            alone = np.full(len(self), -1)
            candidates = np.unique(candidates)
            alone[candidates] = np.arange(len(candidates))
            costs = self.costs(self.lengths(alone, len(candidates)))
            together = np.minimum(costs, least[:, None]) if seeds else costs
            best = int(together.sum(axis=0).argmin())
            seeds, least = [*seeds, int(candidates[best])], together[:, best]
        groups = np.full(len(self), -1)
        groups[seeds] = np.arange(number)
        return groups

    def lengths(self, groups: np.ndarray, number: int) -> _Lengths:
        """Returns the code lengths under the counts of each group, smoothed towards those of all images."""
        sizes = np.bincount(groups[groups >= 0], minlength=number)
        counts = self._counts(groups, number)
        bits = -np.log2((counts + _STRENGTH * self._prior) / (sizes[:, None, None] + _STRENGTH))
        units = np.rint(bits * _LENGTH_UNITS)
        own = np.rint(-np.log2((sizes + 1.0) / (sizes.sum() + number)) * _LENGTH_UNITS)
        base = units[:, :, 0]
        return _Lengths(own + base.sum(axis=1), (units - base[:, :, None]).reshape(number, -1).T)

    def costs(self, lengths: _Lengths) -> np.ndarray:
        """Returns what each image costs in each group, (N, K)."""
        return self._indicators @ lengths.more + lengths.base

    def _counts(self, groups: np.ndarray, number: int) -> np.ndarray:
        """Counts columns per group and cell, (K, D, width); images of no group (-1) are left out."""
        members = np.flatnonzero(groups >= 0)
        each = csr_matrix((np.ones(len(members)), (groups[members], members)), shape=(number, len(groups)))
        counts = (each @ self._indicators).toarray().reshape(number, -1, self.width)
        counts[:, :, 0] = np.bincount(groups[members], minlength=number)[:, None] - counts.sum(axis=2)
        return counts


def _best_number(images: _Images, max_modes: int) -> int:
    """Returns under how many groups images that were held out cost least: a power of two."""
    judges = np.arange(len(images)) % _JUDGES == _JUDGES - 1
    fitted, judging = (_Images(images.columns[part], images.width) for part in (~judges, judges))
    best, least = 1, np.inf
    for number in (1 << power for power in range(max_modes.bit_length())):
        if number > len(fitted):
            break
        cost = judging.costs(fitted.lengths(fitted.groups(number), number)).min(axis=1).sum()
        if cost >= least:
            break
        best, least = number, cost
    return best
