"""Symbols with Gaussians of their own: exact, as short as the Gaussians allow, the same tables on every machine."""

import contextlib
import math

import numpy as np
import pytest

from sc2_spic_plugin.coding import gaussian_tables
from sc2_spic_plugin.coding.gaussian_coder import Gaussians, decode_gaussian, encode_gaussian, gaussian_code_bits
from sc2_spic_plugin.coding.range_codec import TOTAL, RangeEncoder, encoded_bytes, open_decoder
from sc2_spic_plugin.errors import BitstreamError, TableError

ONE = 4096


def coded(symbols: np.ndarray, gaussians: Gaussians) -> bytes:
    encoder = RangeEncoder()
    encode_gaussian(encoder, symbols, gaussians)
    return encoded_bytes(encoder)


def random_gaussians(count: int, seed: int = 0) -> Gaussians:
    generator = np.random.default_rng(seed)
    levels = generator.integers(0, gaussian_tables.LEVELS, count)
    return Gaussians(levels, generator.integers(-900, 900, count))


def draw(gaussians: Gaussians, seed: int = 1) -> np.ndarray:
    scales = np.exp(-2.25 + 0.125 * gaussians.levels)
    normal = np.random.default_rng(seed).standard_normal(len(scales))
    return np.rint(normal * scales + gaussians.means / gaussian_tables.FRACTIONS).astype(np.int32)


def test_symbols_come_back_wherever_they_lie():
    gaussians = random_gaussians(600)
    symbols = draw(gaussians)
    symbols[::7] = np.random.default_rng(2).integers(-(2**31), 2**31, len(symbols[::7]))
    symbols[:4] = -(2**31), 2**31 - 1, -(2**31), 2**31 - 1
    gaussians.means[:4] = 4096 * 16, -4096 * 16, 1, -1
    assert np.array_equal(decode_gaussian(open_decoder(coded(symbols, gaussians)), gaussians), symbols)
    nothing = Gaussians(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    assert coded(np.empty(0, dtype=np.int32), nothing) == b""
    assert decode_gaussian(open_decoder(b""), nothing).size == 0


def test_a_code_is_as_long_as_its_tables_say():
    gaussians = random_gaussians(2000)
    for symbols in (draw(gaussians), np.zeros(2000, dtype=np.int32)):
        assert 8 * len(coded(symbols, gaussians)) == pytest.approx(gaussian_code_bits(symbols, gaussians), abs=9)


def test_tables_spend_what_the_gaussians_entropy_asks_for():
    """Of a whole-number mean and of one between two numbers, at scales from tight to wide."""
    for level in (4, 12, 18, 26, 40):
        for mean in (0, 5, 8):
            gaussians = Gaussians(np.full(20000, level), np.full(20000, mean))
            scale = math.exp(-2.25 + 0.125 * level)
            normal = np.random.default_rng(level).standard_normal(20000)
            symbols = np.rint(normal * scale + mean / 16).astype(np.int32)
            counts = np.unique(symbols, return_counts=True)[1] / len(symbols)
            entropy = -(counts * np.log2(counts)).sum()
            assert gaussian_code_bits(symbols, gaussians) / len(symbols) == pytest.approx(entropy, abs=0.02)


def test_the_nearest_scale_costs_at_most_six_thousandths_of_a_bit_more():
    """Of a Gaussian half a step of the grid away from it, log-scales being 1/8 apart; more only where means round."""
    worst = 0.0
    for level in range(0, 40, 3):
        frequencies = gaussian_tables.gaussian_frequencies(level, 0)
        width = gaussian_tables.half_width(level)
        for offset in (-0.0625, 0.0625):
            scale = math.exp(-2.25 + 0.125 * level + offset)
            edges = (np.arange(-width, width + 2) - 0.5) / (scale * math.sqrt(2))
            mass = 0.5 * np.diff([math.erf(edge) for edge in edges])
            inside = mass > 0
            ratio = mass[inside] / (frequencies[:-1][inside] / TOTAL)
            worst = max(worst, float((mass[inside] * np.log2(ratio)).sum()))
    assert 0.005 < worst < 0.006


def test_the_nearest_level_is_taken_and_the_ends_hold():
    exact = np.array([round(ONE * (-2.25 + 0.125 * level)) for level in range(gaussian_tables.LEVELS)])
    assert gaussian_tables.level_of(exact, ONE).tolist() == list(range(gaussian_tables.LEVELS))
    assert gaussian_tables.level_of(exact + 250, ONE).tolist() == list(range(gaussian_tables.LEVELS))
    assert gaussian_tables.level_of(np.array([-(10**9), 10**9]), ONE).tolist() == [0, gaussian_tables.LEVELS - 1]


def test_every_table_is_one_the_range_coder_can_use():
    for level in (0, 7, 63):
        for fraction in range(gaussian_tables.FRACTIONS):
            frequencies = gaussian_tables.gaussian_frequencies(level, fraction)
            assert frequencies.sum() == TOTAL and frequencies.min() >= 1
            assert len(frequencies) == 2 * gaussian_tables.half_width(level) + 2


def test_a_machine_with_other_tables_is_told_so(monkeypatch: pytest.MonkeyPatch):
    gaussian_tables.gaussian_model.cache_clear()
    gaussian_tables._check.cache_clear()
    gaussian_tables.gaussian_model(3, 4)
    gaussian_tables.gaussian_model.cache_clear()
    gaussian_tables._check.cache_clear()
    monkeypatch.setattr(gaussian_tables, "tables_digest", lambda: "another")
    with pytest.raises(TableError, match="other Gaussian tables"):
        gaussian_tables.gaussian_model(3, 4)


def test_damaged_bytes_give_other_symbols_or_an_error():
    gaussians = random_gaussians(300)
    code = bytearray(coded(draw(gaussians), gaussians))
    for place in range(0, len(code), 11):
        code[place] ^= 0xFF
        with contextlib.suppress(BitstreamError):
            assert decode_gaussian(open_decoder(bytes(code)), gaussians).shape == (300,)
