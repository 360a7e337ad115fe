"""Expected rates and oddities: against figures from the literature, a brute-force count, and the coder itself."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_release import ASKED, save_table, save_weights

from sc2_spic_plugin.coding import HuffmanCoder
from sc2_spic_plugin.importers import (
    PublishedUnit,
    PublishedUnits,
    check_rows,
    expected_rate,
    find_published_units,
    oddities,
    prior_is_untrained,
    single_published_unit,
)
from sc2_spic_plugin.importers.oddities import unreached_rows, unseen_rows
from sc2_spic_plugin.layers import PublishedGeometry, published_geometry

HUFFMAN_BPP = {  # expected rates under the released tables, rounded to five digits and then to these four
    "S1": (".0873", ".0659", ".0559", ".0146", ".0095", ".0077", ".0066"),
    "S2": (".1155", ".0880", ".0690", ".0376", ".0202", ".0160"),
    "S3": (".2134", ".1513", ".1031", ".0910", ".0486", ".0421"),
    "US1": (".0866", ".0690", ".0363", ".0269", ".0154", ".0071"),
    "US2": (".1076", ".0713", ".0500", ".0354", ".0135"),
}


@pytest.fixture(scope="module")
def units(request: pytest.FixtureRequest) -> PublishedUnits:
    """All 61 units where SPIC_REPO names a clone of the release, else the ten of the parity tests."""
    clone = os.environ.get("SPIC_REPO")
    return find_published_units(clone) if clone else find_published_units(request.getfixturevalue("reference"), "skip")


def named(units: PublishedUnits, name: str) -> PublishedUnit:
    if name not in {unit.name for unit in units}:
        pytest.skip(f"{name} is not in this copy of the release; name a whole clone in SPIC_REPO")
    return units.named(name)


def test_expected_huffman_rates_of_classification_have_the_printed_digits(units: PublishedUnits) -> None:
    compared = 0
    for unit in units:
        if unit.task == "classification":
            printed = HUFFMAN_BPP[unit.split][unit.index]
            assert expected_rate(unit).huffman_bpp == pytest.approx(float(printed), abs=0.55e-4), unit.name
            compared += 1
    assert compared == (30 if len(units) == 61 else 5)


def test_the_released_unit_that_saves_most(units: PublishedUnits) -> None:
    rate = expected_rate(named(units, "segmentation/S2/5"))
    assert round(rate.huffman_bpp, 5) == 0.01576 and round(rate.ideal_bpp, 5) == 0.00544
    assert rate.saving == pytest.approx(0.655, abs=1e-3)


def test_an_ideal_coder_never_costs_more_and_every_latent_counts_whole_images(units: PublishedUnits) -> None:
    rows = check_rows(units)
    for unit, row in zip(units, rows, strict=True):
        assert 0 < row.ideal_bpp <= row.huffman_bpp and row.saving_percent < 66
        assert sum(unit.frequencies.values()) % unit.symbols == 0, unit.name
        assert prior_is_untrained(unit.released_weights.prior), unit.name


def test_odd_units_of_the_release_are_told(units: PublishedUnits) -> None:
    told = {row.name: " / ".join(row.oddities) for row in check_rows(units)}
    assert "returns 15x15 features for 14x14" in told["classification/S3/1"]
    assert "1,331,167 images" in told["classification/S3/1"]
    assert "1 of 7 output rows" in told["classification/US1/5"] and "2 of 7 input rows" in told["classification/US1/5"]
    assert "10 of 65 output rows" in told["segmentation/S2/5"]
    assert "images" not in told["classification/S1/0"] and "rows" not in told["classification/S1/0"]
    for name, text in told.items():
        assert ("bypassed" in text) == (name.startswith("segmentation") and "S1/" in name)
    duplicates = {name for name, text in told.items() if "duplicate" in text}
    assert duplicates == ({"segmentation/S2/0", "segmentation/US2/0"} if len(units) == 61 else set())


GEOMETRIES = [
    published_geometry(task, split, stride)
    for task in ("classification", "segmentation")
    for split in ("S1", "S2", "S3")
    for stride in (2, 4, 6, 8)
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("length", [9, 14, 33])
def test_covered_rows_are_those_that_convolutions_of_ones_reach(geometry: PublishedGeometry, length: int) -> None:
    features = torch.zeros(1, 1, length, length, requires_grad=True)
    ones = torch.ones(1, 1, geometry.encoder_kernel, geometry.encoder_kernel)
    latent = torch.conv2d(features, ones, None, geometry.stride, geometry.padding)
    latent.sum().backward()
    assert unseen_rows(geometry, length) == int((features.grad.sum(dim=(0, 1, 2)) == 0).sum())
    kernel = torch.ones(1, 1, geometry.decoder_kernel, geometry.decoder_kernel)
    output = torch.conv_transpose2d(
        torch.ones_like(latent), kernel, None, geometry.stride, geometry.decoder_padding
    ).sum(dim=(0, 1, 2))
    assert tuple(output.shape) == (geometry.output_size((length, length))[0],)
    assert unreached_rows(geometry, length) == int((output == 0).sum())


@given(st.dictionaries(st.integers(0, 12), st.integers(1, 500), min_size=2, max_size=8), st.integers(0, 99))
@settings(max_examples=15)
def test_expected_bits_are_the_mean_over_images_drawn_from_the_table(counts: dict[int, int], seed: int) -> None:
    from sc2_spic_plugin.importers.expected_rate import _bits_per_symbol

    huffman, ideal = _bits_per_symbol(counts)
    assert 0 < ideal <= huffman < ideal + 1
    population = np.repeat(list(counts), list(counts.values()))
    whole = len(HuffmanCoder(counts).encode(np.random.default_rng(seed).permutation(population)[None, None]))
    assert whole == math.ceil(round(huffman * len(population), 6) / 8)


def test_published_bytes_exceed_the_code_by_three_and_a_half_bits_on_average(tmp_path: Path) -> None:
    unit = single_published_unit(save_weights(tmp_path / "w"), save_table(tmp_path / "t"), **ASKED)
    probability = np.array(list(unit.frequencies.values())) / sum(unit.frequencies.values())
    draws = np.random.default_rng(0).choice(list(unit.frequencies), p=probability, size=(3000, *(2, 8, 8)))
    coder, rate = HuffmanCoder(unit.frequencies), expected_rate(unit)
    measured = np.mean([len(coder.encode(latent)) for latent in draws])
    assert rate.huffman_bytes == pytest.approx(measured, rel=4e-3)
    assert rate.huffman_bytes * 8 - rate.huffman_bpp * 513 * 513 == pytest.approx(3.5)


def test_a_table_counted_at_another_size_is_odd(tmp_path: Path) -> None:
    table = {0.0: 128 * 92_500 - 3, 3.0: 3}
    unit = single_published_unit(save_weights(tmp_path / "w"), save_table(tmp_path / "t", table), **ASKED)
    assert not any("table" in odd for odd in oddities(unit))
    save_table(tmp_path / "u", {**table, 6.0: 1})
    other = single_published_unit(tmp_path / "w", tmp_path / "u", **ASKED)
    assert any("not counted at the published image size" in odd for odd in oddities(other, [unit]))
    assert any(odd.startswith("duplicate: weights") for odd in oddities(other, [single_published_unit(
        tmp_path / "w", tmp_path / "t", **ASKED, index=1)]))  # fmt: skip
