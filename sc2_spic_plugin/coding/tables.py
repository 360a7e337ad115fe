"""From symbol counts to integer tables: back-off where counts are thin, then few tables shared by many contexts."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..errors import TableError
from .range_codec import PRECISION, TOTAL

__all__ = [
    "MAX_TABLES",
    "Tables",
    "build_tables",
    "check_tables",
    "count_symbols",
    "integer_frequencies",
    "shared_frequencies",
]

MAX_TABLES = 256
"""Assignments are bytes."""

_STRENGTHS = 2.0 ** np.arange(0, 19)
_MASS_UNITS = float(1 << 30)  # a context's distribution in integers, so that sums do not depend on their order
_LENGTH_UNITS = float(1 << 10)  # code lengths likewise
_ROUNDS = 30

MOST_COUNTED = 2**40  # sums of counts fit into 64 bits


class Tables(NamedTuple):
    """Integer tables and who uses which."""

    frequencies: np.ndarray
    """(K, A + 1) int32, each row sums to 2**24, each entry at least 1; the last column is the escape symbol."""
    assignment: np.ndarray
    """(C, P) uint8: the table of channel c at position p; P is 0 if there are tables per channel only. With modes
    (M, C, P): that of each mode."""
    channel_assignment: np.ndarray
    """(C,) uint8: the table of channel c at any latent size but the default one."""


def check_tables(tables: Tables, latent_size: tuple[int, int]) -> None:
    """Refuses tables that no `build_tables` made.

    Raises:
        TableError: shapes that do not fit each other, a row that does not sum to 2**24, or a table that is not there.
    """
    frequencies, assignment, channel_assignment = tables
    if frequencies.ndim != 2 or frequencies.shape[1] < 2 or not 1 <= len(frequencies) <= MAX_TABLES:
        raise TableError(f"frequencies of shape {frequencies.shape}: expected 1 to {MAX_TABLES} tables of 2 or more")
    if frequencies.min() < 1 or (frequencies.sum(axis=1, dtype=np.int64) != TOTAL).any():
        raise TableError(f"a table does not sum to {TOTAL} with entries of 1 and more: it is damaged; build it again")
    if channel_assignment.ndim != 1 or not len(channel_assignment):
        raise TableError(f"channel assignment of shape {channel_assignment.shape}: expected (C,)")
    channels, positions = len(channel_assignment), latent_size[0] * latent_size[1]
    if assignment.shape not in {(channels, 0), (channels, positions)}:
        raise TableError(f"assignment of shape {assignment.shape} for {channels} channels at latent size {latent_size}")
    if max(channel_assignment.max(), assignment.max(initial=0)) >= len(frequencies):
        raise TableError("an assignment names a table that does not exist: the tables are damaged; build them again")


def count_symbols(symbols: np.ndarray, alphabet_size: int) -> np.ndarray:
    """Counts (N, C, P) integers per channel and position.

    Returns:
        (C, P, alphabet_size + 1) int64; what is outside 0..alphabet_size-1 is counted in the last column.
    """
    _, channels, positions = symbols.shape
    inside = (symbols >= 0) & (symbols < alphabet_size)
    columns = np.where(inside, symbols, alphabet_size).astype(np.int64)
    rows = np.arange(channels * positions).reshape(channels, positions) * (alphabet_size + 1)
    size = channels * positions * (alphabet_size + 1)
    return np.bincount((columns + rows).ravel(), minlength=size).reshape(channels, positions, alphabet_size + 1)


def integer_frequencies(mass: np.ndarray) -> np.ndarray:
    """Turns non-negative integer weights (..., n) into frequencies that sum to 2**24, each at least 1.

    What rounding leaves goes to the largest. The result is exact: the same weights give the same tables anywhere.
    """
    symbols = mass.shape[-1]
    total = mass.sum(axis=-1, keepdims=True)
    shift = max(0, int(total.max()).bit_length() - (62 - PRECISION))
    mass = mass.astype(np.int64) >> shift
    total = np.maximum(mass.sum(axis=-1, keepdims=True), 1)
    frequencies = 1 + mass * (TOTAL - symbols) // total
    missing = TOTAL - frequencies.sum(axis=-1, keepdims=True)
    largest = frequencies.argmax(axis=-1)[..., None]
    np.put_along_axis(frequencies, largest, np.take_along_axis(frequencies, largest, -1) + missing, -1)
    return frequencies.astype(np.int32)


def shared_frequencies(counts: Mapping[int, int], alphabet_size: int) -> np.ndarray:
    """Turns the counts of a global table into the frequencies of one table: nothing but the counts decides them.

    Args:
        counts: how often each symbol occurred, over all channels and positions.
        alphabet_size: symbols that have a place in the table. Those never counted and the escape symbol count half a
            time: about 24 bits each.

    Returns:
        (alphabet_size + 1,) int32, sums to 2**24, each entry at least 1; the last one is the escape symbol.

    Raises:
        TableError: no counts, a count below one or above 2**40, or a symbol without a place.
    """
    if not counts or min(counts.values()) < 1 or max(counts.values()) > MOST_COUNTED:
        raise TableError(f"a table needs one symbol or more, each counted from 1 to {MOST_COUNTED} times")
    if min(counts) < 0 or max(counts) >= alphabet_size:
        raise TableError(
            f"the counts name symbols {min(counts)} to {max(counts)}, the table has places for 0 to "
            f"{alphabet_size - 1}: build it with `alphabet_size: {max(counts) + 1}`"
        )
    mass = np.ones(alphabet_size + 1, dtype=np.int64)
    for symbol, count in counts.items():
        mass[symbol] += 2 * int(count)
    return integer_frequencies(mass)


def build_tables(
    counts: np.ndarray, extra_channel_counts: np.ndarray | None = None, max_tables: int = 64, positions: bool = True
) -> Tables:
    """Builds the tables of a coder from counts.

        counts (C, P, A+1) ─► global ─► channel ─► position ─► mode   each smoothed towards the one before, by how
                                             │         │         │    well it predicts counts that it has not seen
                                             ▼         ▼         ▼
                                       clustering by code length ─► K tables, K <= max_tables

    Args:
        counts: (C, P, A + 1), how often channel c held symbol s at position p; the last column is for everything else.
            Or (M, C, P, A + 1), counted for each mode.
        extra_channel_counts: (C, A + 1), what was counted at other latent sizes.
        max_tables: the most tables there may be, at most 256.
        positions: False for tables per channel whatever P is.

    Raises:
        TableError: nothing was counted, or the arguments make no sense.
    """
    by_mode = _fixed_point(counts)
    counts = by_mode.sum(axis=0) if by_mode.ndim == 4 else by_mode
    if counts.ndim != 3 or counts.shape[0] < 1 or counts.shape[2] < 2:
        raise TableError(f"counts of shape {by_mode.shape}: expected ([modes], channels, positions, alphabet size + 1)")
    if not 1 <= max_tables <= MAX_TABLES:
        raise TableError(f"max_tables is {max_tables}: choose 1 to {MAX_TABLES}")
    channel_counts = counts.sum(axis=1)
    if extra_channel_counts is not None:
        channel_counts = channel_counts + _fixed_point(extra_channel_counts)
    if not np.isfinite(channel_counts).all() or (counts < 0).any():
        raise TableError("counts must be finite and not negative")
    if not channel_counts.any():
        raise TableError("no symbol was counted: train the unit or run `sc2-spic calibrate` first")

    prior = channel_counts.sum(axis=0) + 0.5
    channels = _back_off(channel_counts[:, None], (prior / prior.sum())[None, None])[:, 0]
    has_positions = positions and counts.shape[1] > 1
    contexts = _back_off(counts, channels[:, None]) if has_positions else channels[:, None]
    if by_mode.ndim == 4:
        contexts = _of_modes(by_mode if has_positions else by_mode.sum(axis=2, keepdims=True), contexts)
    mass = np.rint(contexts.reshape(-1, counts.shape[2]) * _MASS_UNITS)
    frequencies, assignment = _cluster(mass, min(max_tables, len(mass)))
    channel_assignment = _costs(np.rint(channels * _MASS_UNITS), frequencies).argmin(axis=1)
    assignment = assignment.reshape(contexts.shape[:-1])
    if by_mode.ndim == 3 and not has_positions:
        assignment = assignment[:, :0]
    return Tables(frequencies, assignment.astype(np.uint8), channel_assignment.astype(np.uint8))


def _of_modes(counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Returns the distribution of each mode, (M, C, P, n), backed off to that of all modes; one strength per channel.

    Args:
        counts: (M, C, P, n).
        cells: (C, P, n), distributions.
    """
    modes, channels, positions, columns = counts.shape
    together = counts.transpose(1, 0, 2, 3).reshape(channels, modes * positions, columns)
    backed_off = _back_off(together, np.tile(cells, (1, modes, 1)))
    return backed_off.reshape(channels, modes, positions, columns).transpose(1, 0, 2, 3)


def _fixed_point(counts: np.ndarray) -> np.ndarray:
    """Rounds (decayed) counts to whole 256ths, whose sums are exact in any order."""
    return np.rint(np.asarray(counts, dtype=np.float64) * 256.0) / 256.0


def _back_off(counts: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Returns (counts + strength * parent), normalised over the last axis.

    One strength per first axis: the one under which each count, left out once, is predicted with the fewest bits.

    Args:
        counts: (C, P, n).
        parent: (C or 1, P or 1, n), distributions.
    """
    left, left_total = np.maximum(counts - 1, 0), np.maximum(counts.sum(axis=2, keepdims=True) - 1, 0)
    bits = [
        -(counts * np.log2((left + strength * parent) / (left_total + strength))).sum(axis=(1, 2))
        for strength in _STRENGTHS
    ]
    strength = _STRENGTHS[np.argmin(np.rint(bits), axis=0)][:, None, None]
    return (counts + strength * parent) / (counts.sum(axis=2, keepdims=True) + strength)


def _lengths(frequencies: np.ndarray) -> np.ndarray:
    """Returns the code length of each symbol in whole units."""
    return np.rint((PRECISION - np.log2(frequencies)) * _LENGTH_UNITS)


def _costs(mass: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Returns (M, K): what each context costs under each table, in whole units; exact, so ties break alike anywhere."""
    return mass @ _lengths(frequencies).T


def _cluster(mass: np.ndarray, tables: int) -> tuple[np.ndarray, np.ndarray]:
    """Groups contexts so that the tables of the groups code them in the fewest bits; deterministic.

    Args:
        mass: (M, n) whole numbers, each row a distribution.
        tables: how many groups there may be.

    Returns:
        frequencies (K, n) int32 and the group of each context, (M,).
    """
    groups = _split(mass, tables)
    return _refine(mass, groups, _ROUNDS)


def _tables_of(mass: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the tables of the groups, empty ones dropped, and the groups renumbered."""
    used, groups = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(used), mass.shape[1]))
    np.add.at(sums, groups, mass)
    return integer_frequencies(sums.astype(np.int64)), groups


def _refine(mass: np.ndarray, groups: np.ndarray, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means with code length as distance."""
    frequencies, groups = _tables_of(mass, groups)
    for _ in range(rounds):
        nearest = _costs(mass, frequencies).argmin(axis=1)
        if (nearest == groups).all():
            break
        frequencies, groups = _tables_of(mass, nearest)
    return frequencies, groups


def _split(mass: np.ndarray, tables: int) -> np.ndarray:
    """Halves, again and again, the group that loses most by sharing one table."""
    own = (mass * _lengths(integer_frequencies(mass.astype(np.int64)))).sum(axis=1)

    def halve(members: np.ndarray) -> tuple[float, np.ndarray]:
        shared = _costs(mass[members], _tables_of(mass[members], np.zeros(len(members), dtype=np.int64))[0])[:, 0]
        return float((shared - own[members]).sum()), members

    pool = [halve(np.arange(len(mass)))]
    while len(pool) < tables:
        worst = max(range(len(pool)), key=lambda index: pool[index][0])
        members = pool[worst][1]
        if len(members) < 2 or pool[worst][0] <= 0:
            break
        order = np.argsort(own[members], kind="stable")
        halves = np.zeros(len(members), dtype=np.int64)
        halves[order[len(members) // 2 :]] = 1
        _, halves = _refine(mass[members], halves, 5)
        if halves.max() == 0:
            break
        pool[worst] = halve(members[halves == 0])
        pool.append(halve(members[halves == 1]))
    groups = np.zeros(len(mass), dtype=np.int64)
    for index, (_, members) in enumerate(pool):
        groups[members] = index
    return groups
