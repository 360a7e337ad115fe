"""Tables from counts: position helps where it matters, and thin counts do no harm."""

import numpy as np
import pytest
from coding_latents import sparse_latents

from sc2_spic_plugin.coding import StaticCoder, build_tables, count_symbols
from sc2_spic_plugin.coding.range_codec import TOTAL
from sc2_spic_plugin.coding.tables import shared_frequencies
from sc2_spic_plugin.errors import TableError


def held_out_bits(train: np.ndarray, test: np.ndarray, **options: object) -> float:
    coder = StaticCoder.fit(train, alphabet_size=32, **options)  # type: ignore[arg-type]
    return sum(coder.ideal_bits(latent) for latent in test)


def gain(count: int, spread: float) -> float:
    latents = sparse_latents(count + 100, 48, 4, 4, seed=1, position_spread=spread)
    train, test = latents[:count], latents[count:]
    per_channel = held_out_bits(train, test, positions=False)
    return 1 - held_out_bits(train, test) / per_channel


def test_counting_finds_every_symbol_in_its_place() -> None:
    symbols = np.array([[[0, 3], [-1, 2]], [[0, 1], [9, 2]]])
    expected = np.zeros((2, 2, 4))
    expected[0, 0, 0], expected[1, 1, 2], expected[1, 0, 3] = 2, 2, 2
    expected[0, 1, [3, 1]] = 1
    assert np.array_equal(count_symbols(symbols, 3), expected)


@pytest.mark.parametrize("max_tables", [1, 5, 64, 256])
def test_tables_are_integers_that_sum_to_the_total_and_stay_within_their_number(max_tables: int) -> None:
    counts = count_symbols(sparse_latents(50, 6, 3, 3, position_spread=1).reshape(50, 6, 9), 20)
    tables = build_tables(counts, max_tables=max_tables)
    assert tables.frequencies.dtype == np.int32 and tables.frequencies.min() >= 1
    assert (tables.frequencies.sum(axis=1) == TOTAL).all() and len(tables.frequencies) <= max_tables
    assert tables.assignment.shape == (6, 9) and tables.channel_assignment.shape == (6,)
    assert tables.assignment.max() < len(tables.frequencies)


def test_position_tables_save_nine_percent_or_more_when_positions_matter() -> None:
    assert gain(1000, spread=1.5) >= 0.09


@pytest.mark.parametrize(("count", "spread"), [(3000, 0.0), (100, 0.0), (20, 0.0), (20, 0.7)])
def test_position_tables_lose_nothing_when_positions_do_not_matter_or_counts_are_thin(
    count: int, spread: float
) -> None:
    assert gain(count, spread) >= -0.005


def test_few_shared_tables_come_close_to_a_table_per_channel_and_position() -> None:
    latents = sparse_latents(2100, 8, 4, 4, position_spread=1.0)
    shared = held_out_bits(latents[:2000], latents[2000:], max_tables=64)
    own = held_out_bits(latents[:2000], latents[2000:], max_tables=128)
    assert shared <= own * 1.005


def test_counts_of_another_latent_size_teach_the_channels() -> None:
    latents = sparse_latents(300, 8, 1, 16)
    by_channel = count_symbols(latents.reshape(300, 8, 16), 20).sum(axis=1)
    tables = build_tables(np.zeros((8, 4, 21)), extra_channel_counts=by_channel)
    coder = StaticCoder(tables.frequencies, tables.channel_assignment, tables.assignment, (2, 2))
    entropy = held_out_bits(latents, latents, positions=False)
    assert sum(coder.ideal_bits(latent) for latent in latents) <= entropy * 1.02


def test_nothing_counted_and_wrong_arguments_are_refused() -> None:
    for counts in ({}, {0: 0}, {0: 2**62}):
        with pytest.raises(TableError, match="counted from 1 to"):
            shared_frequencies(counts, 4)
    with pytest.raises(TableError, match="sc2-spic calibrate"):
        build_tables(np.zeros((2, 4, 5)))
    with pytest.raises(TableError, match="choose 1 to 256"):
        build_tables(np.ones((2, 4, 5)), max_tables=257)
    with pytest.raises(TableError, match="finite"):
        build_tables(np.full((2, 4, 5), np.nan))
    with pytest.raises(TableError, match="expected"):
        build_tables(np.ones((2, 4)))
