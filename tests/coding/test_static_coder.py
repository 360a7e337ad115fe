"""The deployed coder: exact for every integer tensor, short, the same bytes everywhere."""

import contextlib
import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from bare_process import run_bare
from coding_latents import sparse_latents
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sc2_spic_plugin.coding import StaticCoder
from sc2_spic_plugin.errors import BitstreamError, TableError

INT32 = st.integers(-(2**31), 2**31 - 1)
SIZES = st.tuples(st.integers(0, 5), st.integers(0, 5))
CODER = StaticCoder.fit(sparse_latents(200, 3, 2, 4, position_spread=1.0), alphabet_size=9)

GOLDEN_TABLES = {
    "frequencies": [[16000000, 700000, 77000, 216], [8388608, 4194304, 4194303, 1]],
    "channel_assignment": [0, 1],
    "assignment": [[0, 0, 1, 0], [1, 1, 0, 1]],
    "latent_size": [2, 2],
}
GOLDEN = [
    ([[[0, 0], [0, 0]], [[0, 0], [0, 0]]], ""),
    ([[[0, 1], [2, 0]], [[1, 2], [0, 0]]], "f160"),
    ([[[2, 0], [1, 1]], [[0, 2], [-1, 5]]], "ffefe6efff1fb67c40"),
    ([[[0, 0, 1]], [[2, 2147483647, -2147483648]]], "e7c2517b4b125313fffd92fffffff171fc"),
]


def golden_coder() -> StaticCoder:
    return StaticCoder.from_arrays({name: np.array(value) for name, value in GOLDEN_TABLES.items()})


@given(SIZES.flatmap(lambda hw: hnp.arrays(np.int32, (3, *hw), elements=st.one_of(st.integers(0, 12), INT32))))
@settings(deadline=None, max_examples=150)
def test_every_int32_tensor_of_any_size_round_trips(symbols: np.ndarray) -> None:
    code = CODER.encode(torch.from_numpy(symbols))
    decoded = CODER.decode(code, symbols.shape)
    assert decoded.dtype == torch.int32 and torch.equal(decoded, torch.from_numpy(symbols))
    assert len(code) <= CODER.ideal_bits(symbols) / 8 + 1.25


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int64, np.uint64])
def test_the_integer_type_does_not_change_the_code(dtype: type) -> None:
    symbols = sparse_latents(1, 3, 2, 4, seed=5)[0]
    assert CODER.encode(symbols.astype(dtype)) == CODER.encode(torch.from_numpy(symbols)) != b""
    assert CODER.encode(symbols.transpose(0, 2, 1).copy().transpose(0, 2, 1)) == CODER.encode(symbols)


def test_golden_bytes_stay_and_decode_in_another_process_without_the_hosts() -> None:
    coder = golden_coder()
    assert [coder.encode(np.array(symbols)).hex() for symbols, _ in GOLDEN] == [code for _, code in GOLDEN]
    jobs = [(code, np.shape(symbols)) for symbols, code in GOLDEN]
    script = f"""
import json, numpy as np
from sc2_spic_plugin.coding import StaticCoder
coder = StaticCoder.from_arrays({{name: np.array(value) for name, value in {GOLDEN_TABLES!r}.items()}})
print(json.dumps([coder.decode(bytes.fromhex(code), shape).tolist() for code, shape in {jobs!r}]))
"""
    assert json.loads(run_bare([script])[0]) == [symbols for symbols, _ in GOLDEN]


def test_threads_copies_and_saved_tables_give_the_same_bytes() -> None:
    latents = sparse_latents(64, 16, 4, 4, position_spread=1.0)
    coder = StaticCoder.fit(latents)
    codes = coder.encode_batch(latents)
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        assert StaticCoder.fit(latents).digest == coder.digest
    torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(coder.encode, latents)) == codes
        decoded = list(pool.map(lambda code: coder.decode(code, latents.shape[1:]), codes))
    assert torch.equal(torch.stack(decoded), torch.from_numpy(latents))
    for again in (StaticCoder.from_arrays(coder.to_arrays()), copy.deepcopy(coder), pickle.loads(pickle.dumps(coder))):  # noqa: S301
        assert again.digest == coder.digest and again.encode_batch(latents) == codes


@pytest.mark.parametrize("shape", [(128, 4, 4), (64, 2, 2), (32, 2, 2)])
def test_codes_are_at_most_three_quarters_of_a_byte_above_the_tables_code_length(shape: tuple[int, int, int]) -> None:
    coder = StaticCoder.fit(sparse_latents(400, *shape, position_spread=0.7))
    fresh = sparse_latents(300, *shape, seed=0, position_spread=0.7)
    overhead = [len(coder.encode(x)) - coder.ideal_bits(x) / 8 for x in fresh]
    assert max(overhead) <= 1.25
    assert 0 < np.mean(overhead) <= 0.75  # one latent may get lucky, the mean cannot beat the information


def test_symbols_that_no_table_saw_cost_more_but_come_back() -> None:
    coder = StaticCoder.fit(np.zeros((100, 2, 2, 2), dtype=np.int32))
    quiet, loud = np.zeros((2, 2, 2), dtype=np.int32), np.full((2, 2, 2), -70000)
    assert coder.encode(quiet) == b"" and len(coder.encode(loud)) > 8 * 4
    assert np.array_equal(coder.decode(coder.encode(loud), loud.shape).numpy(), loud)


def test_other_latent_sizes_use_the_tables_of_the_channels() -> None:
    latents = sparse_latents(300, 8, 4, 4, position_spread=1.5)
    both, channels = StaticCoder.fit(latents), StaticCoder.fit(latents, positions=False)
    assert both.assignment.shape == (8, 16) and channels.assignment.shape == (8, 0)
    wide = np.tile(latents[0], (1, 1, 3))
    assert np.array_equal(both.decode(both.encode(wide), wide.shape).numpy(), wide)
    assert both.ideal_bits(wide) == pytest.approx(channels.ideal_bits(wide), rel=0.05)
    turned = latents[0].reshape(8, 2, 8)  # as many positions, another size
    assert both.ideal_bits(turned) == pytest.approx(channels.ideal_bits(turned), rel=0.05)


@given(st.binary(max_size=60), st.integers(0, 4), st.integers(0, 4))
@settings(deadline=None, max_examples=200)
def test_random_bytes_give_symbols_or_a_bitstream_error(code: bytes, height: int, width: int) -> None:
    try:
        assert CODER.decode(code, (3, height, width)).shape == (3, height, width)
    except BitstreamError as error:
        assert "transmit it again" in str(error)


def test_damaged_codes_give_symbols_or_a_bitstream_error() -> None:
    rng = np.random.default_rng(0)
    latents = sparse_latents(1, 3, 2, 4, seed=3)[0]
    latents[0, 0] = [-5, 100000, 40, 7]
    code = CODER.encode(latents)
    for _ in range(300):
        damaged = bytearray(code)
        damaged[rng.integers(len(code))] ^= 1 << rng.integers(8)
        with contextlib.suppress(BitstreamError):
            assert CODER.decode(bytes(damaged), latents.shape).shape == latents.shape


@pytest.mark.parametrize("shape", [(2, 4, 4), (3, -1, 4), (3, 4), (3, 1 << 40, 1 << 40), (3, 1 << 13, 1 << 13)])
def test_shapes_that_cannot_be_right_are_refused_before_anything_is_allocated(shape: tuple[int, ...]) -> None:
    with pytest.raises(BitstreamError, match="check the unit index"):
        CODER.decode(b"\x00", shape)


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (torch.zeros(3, 2, 2), "symbols must be integers"),
        (torch.zeros(3, 2, 2, dtype=torch.bfloat16), "symbols must be integers"),
        (torch.zeros(3, 2, 2, dtype=torch.bool), "symbols must be integers"),
        (np.zeros((3, 2, 2)), "symbols must be integers"),
        (np.zeros((4, 2, 2), dtype=int), "4 channels, this coder 3"),
        (np.zeros((1, 3, 2, 2), dtype=int), r"expected \(C, h, w\)"),
        (np.full((3, 1, 1), 2**31), "more than 32 bits"),
    ],
)
def test_what_is_no_latent_of_this_unit_is_refused(symbols: object, message: str) -> None:
    with pytest.raises(TableError, match=message):
        CODER.encode(symbols)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frequencies", [[16000000, 700000, 77000, 217]], "does not sum"),
        ("frequencies", [[16777217, 0, -1, 0]], "entries of 1 and more"),
        ("frequencies", [[0.5, 0.5]], "must be integers"),
        ("channel_assignment", [0, 2], "does not exist"),
        ("assignment", [[0, 0, 1], [0, 0, 0]], "latent size"),
        ("frequencies", None, "lack frequencies"),
    ],
)
def test_damaged_tables_are_refused(name: str, value: object, message: str) -> None:
    arrays = {key: np.array(table) for key, table in (GOLDEN_TABLES | {name: value}).items() if table is not None}
    with pytest.raises(TableError, match=message):
        StaticCoder.from_arrays(arrays)
