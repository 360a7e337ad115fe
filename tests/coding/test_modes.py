"""Modes: found where images go in groups, exact whatever is coded, nothing where there are none."""

import json

import numpy as np
import pytest
import torch
from bare_process import run_bare
from coding_latents import grouped_latents, sparse_latents
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sc2_spic_plugin.coding import ModeCoder, StaticCoder, SymbolTables
from sc2_spic_plugin.coding.kept_columns import KeptColumns
from sc2_spic_plugin.coding.modes import fit_modes
from sc2_spic_plugin.errors import BitstreamError, CheckpointError, ConfigError, TableError

INT32 = st.integers(-(2**31), 2**31 - 1)
SHAPE = (12, 3, 3)
KINDS = 4


def calibrated(latents: np.ndarray, modes: int = 16, parts: int = 3) -> SymbolTables:
    tables = SymbolTables(SHAPE[0], SHAPE[1:], alphabet_size=16, modes=modes)
    tables.start_calibration()
    for part in np.array_split(latents, parts):
        tables.count(torch.from_numpy(part))
    tables.finish_calibration()
    return tables


LATENTS = grouped_latents(1200, SHAPE, KINDS)
TRAINING, FRESH = LATENTS[:900], LATENTS[900:]
CODER = calibrated(TRAINING).coder


def test_images_of_several_kinds_cost_less_and_come_back_exactly() -> None:
    assert isinstance(CODER, ModeCoder) and len(CODER.modes) >= KINDS
    plain = StaticCoder.fit(TRAINING, alphabet_size=16)
    codes = CODER.encode_batch(FRESH)
    decoded = torch.stack([CODER.decode(code, SHAPE) for code in codes])
    assert torch.equal(decoded, torch.from_numpy(FRESH))
    assert sum(map(len, codes)) < 0.87 * sum(map(len, plain.encode_batch(FRESH)))  # kinds known, at two bits each: 0.85


def test_an_image_is_coded_in_its_cheapest_mode() -> None:
    assert isinstance(CODER, ModeCoder)
    own = 24 - np.log2(CODER.mode_frequencies)
    for symbols in FRESH[:50]:
        costs = [mode.ideal_bits(symbols) for mode in CODER.modes] + own
        assert CODER.mode_of(symbols) == int(np.argmin(costs))
        assert CODER.ideal_bits(symbols) == pytest.approx(float(min(costs)))
        assert abs(len(CODER.encode(symbols)) - min(costs) / 8) <= 1.25


def test_where_images_are_alike_there_are_no_modes_and_the_code_is_that_of_plain_tables() -> None:
    alike = sparse_latents(600, *SHAPE, position_spread=1.0)
    coder = calibrated(alike).coder
    assert isinstance(coder, StaticCoder)
    assert coder.digest == StaticCoder.fit(alike, alphabet_size=16).digest


@given(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
        lambda size: hnp.arrays(np.int32, (SHAPE[0], *size), elements=st.one_of(st.integers(0, 20), INT32))
    )
)
@settings(deadline=None, max_examples=150)
def test_every_int32_tensor_of_any_size_round_trips(symbols: np.ndarray) -> None:
    code = CODER.encode(torch.from_numpy(symbols))
    assert torch.equal(CODER.decode(code, symbols.shape), torch.from_numpy(symbols))
    assert len(code) <= CODER.ideal_bits(symbols) / 8 + 1.25


def test_latents_of_one_position_have_modes_too() -> None:
    latents = grouped_latents(800, (40, 1, 1))
    tables = SymbolTables(40, (1, 1), alphabet_size=16)
    tables.start_calibration()
    tables.count(torch.from_numpy(latents[:600]))
    tables.finish_calibration()
    assert isinstance(tables.coder, ModeCoder)
    decoded = [tables.coder.decode(tables.coder.encode(each), (40, 1, 1)) for each in latents[600:]]
    assert torch.equal(torch.stack(decoded), torch.from_numpy(latents[600:]))


def test_at_another_latent_size_no_mode_is_named() -> None:
    assert isinstance(CODER, ModeCoder)
    wide = np.tile(FRESH[0], (1, 1, 2))
    assert CODER.encode(wide) == CODER.modes[0].encode(wide) == CODER.modes[1].encode(wide)


@given(st.binary(max_size=40))
@settings(deadline=None, max_examples=200)
def test_random_bytes_give_symbols_or_a_bitstream_error(code: bytes) -> None:
    try:
        assert CODER.decode(code, SHAPE).shape == SHAPE
    except BitstreamError as error:
        assert "transmit it again" in str(error)


def test_another_process_without_the_hosts_decodes_the_same_symbols() -> None:
    arrays = {name: array.tolist() for name, array in CODER.to_arrays().items()}
    codes = [code.hex() for code in CODER.encode_batch(FRESH[:3])]
    script = f"""
import json, numpy as np
from sc2_spic_plugin.coding import ModeCoder
coder = ModeCoder.from_arrays({{name: np.array(value) for name, value in {arrays!r}.items()}})
print(json.dumps([coder.decode(bytes.fromhex(code), {SHAPE!r}).tolist() for code in {codes!r}]))
"""
    assert json.loads(run_bare([script])[0]) == FRESH[:3].tolist()


def test_golden_bytes_stay() -> None:
    coder = ModeCoder(
        np.array([[16000000, 777000, 216], [4194304, 8388608, 4194304]]),
        np.array([0, 1]),
        np.array([[[0, 0], [0, 1]], [[1, 1], [0, 0]]]),
        (1, 2),
        np.array([12582912, 4194304]),
    )
    golden = {
        "": [[[0, 0]], [[0, 0]]],
        "e0": [[[1, 1]], [[0, 0]]],
        "80": [[[0, 0]], [[0, 2]]],
        "fffff890": [[[-7, 1]], [[3, 0]]],
    }
    codes = {coder.encode(np.array(symbols)).hex(): symbols for symbols in golden.values()}
    assert codes == golden
    for code, symbols in golden.items():
        assert coder.decode(bytes.fromhex(code), (2, 1, 2)).tolist() == symbols


def test_neither_the_order_of_the_images_nor_how_they_come_has_an_influence() -> None:
    turned = TRAINING[np.random.default_rng(3).permutation(len(TRAINING))]
    assert calibrated(turned, parts=7).coder.digest == CODER.digest


def test_copies_and_saved_tables_code_alike() -> None:
    module = calibrated(TRAINING)
    other = SymbolTables(SHAPE[0], SHAPE[1:], alphabet_size=16, modes=16)
    other.load_state_dict(module.state_dict())
    rebuilt = ModeCoder.from_arrays(CODER.to_arrays())
    assert module.coder.digest == other.coder.digest == rebuilt.digest == CODER.digest
    assert rebuilt.encode_batch(FRESH[:20]) == CODER.encode_batch(FRESH[:20])
    assert rebuilt.table_bytes == CODER.table_bytes > calibrated(TRAINING, modes=1).coder.table_bytes


def test_tables_without_modes_load_into_a_model_with_room_for_modes_and_code_as_before() -> None:
    plain = calibrated(TRAINING, modes=1)
    roomy = SymbolTables(SHAPE[0], SHAPE[1:], alphabet_size=16, modes=16)
    roomy.load_state_dict(plain.state_dict())
    assert roomy.coder.digest == plain.coder.digest
    with pytest.raises(CheckpointError, match="modes of the checkpoint"):
        plain.load_state_dict(calibrated(TRAINING).state_dict())


def test_training_on_forgets_the_modes_until_the_next_calibration() -> None:
    module = calibrated(TRAINING)
    assert not module.update()
    module.observe(torch.from_numpy(TRAINING))
    assert module.update() and isinstance(module.coder, StaticCoder)
    module.install_shared_counts({0: 10, 1: 3})
    assert isinstance(module.coder, StaticCoder) and len(module.coder.frequencies) == 1


def test_groups_are_found_again_from_what_is_only_counted() -> None:
    kinds = np.repeat(np.arange(3), 200)
    columns = (
        np.random.default_rng(0).random((600, 40)) < np.where(kinds[:, None] == np.arange(40) % 3, 0.7, 0.05)
    ) * 1
    groups = fit_modes(columns, 8)
    assert groups.max() >= 2
    for kind in range(3):  # each found group is of one kind, but for a few
        counts = np.bincount(groups[kinds == kind], minlength=8)
        others = np.bincount(groups[kinds != kind], minlength=8)
        assert (counts * (others > counts)).sum() < 10


def test_no_more_images_are_kept_than_fit_and_they_are_spread_evenly() -> None:
    kept = KeptColumns(4, 300, max_bytes=8 * 2 * 10)  # ten images of four two-byte columns, and as many again
    for start in range(0, 100, 7):
        kept.add(np.repeat(np.arange(start, min(start + 7, 100))[:, None], 4, axis=1))
    rows = kept.array()[:, 0]
    assert len(rows) <= 20 and rows.tolist() == list(range(0, 100, int(rows[1])))


@pytest.mark.parametrize(
    ("frequencies", "message"),
    [([1 << 24], "2 to 256"), ([1 << 23, 1 << 22], "do not sum"), ([(1 << 24) + 1, -1], "do not sum")],
)
def test_damaged_modes_are_refused(frequencies: list[int], message: str) -> None:
    arrays = CODER.to_arrays()
    with pytest.raises(TableError, match=message):
        ModeCoder.from_arrays({**arrays, "mode_frequencies": np.array(frequencies)})
    with pytest.raises(TableError, match=r"expected \(M, C, P\)"):
        ModeCoder.from_arrays({**arrays, "assignment": arrays["assignment"][:, :, :0]})


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="modes is 0: choose 1"):
        SymbolTables(2, (1, 1), modes=0)
    with pytest.raises(TableError, match="give 1 to 256"):
        fit_modes(np.zeros((3, 2), dtype=np.int64), 257)
    with pytest.raises(TableError, match="the tables lack mode_frequencies"):
        ModeCoder.from_arrays(StaticCoder.fit(TRAINING).to_arrays())
