"""Reading pickled tables: every protocol gives the counts, and nothing in a file is ever run."""

import os
import pickle
import struct
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_release import COUNTS, STEP, released_table, save_table

from sc2_spic_plugin.errors import ConfigError, TableError
from sc2_spic_plugin.importers import find_published_units, read_frequencies
from sc2_spic_plugin.importers.plain_pickle import RefusedPickleError, read_plain_pickle


class Carrier:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [dict, Counter, OrderedDict])
@pytest.mark.parametrize("number", [np.float32, np.float64, float])
def test_a_table_reads_alike_whatever_it_was_pickled_with(
    protocol: int, kind: Any, number: Any, tmp_path: Path
) -> None:
    table = kind({number(np.float32(STEP) * symbol): count for symbol, count in COUNTS.items()})
    assert read_frequencies(save_table(tmp_path / "t", table, protocol), STEP) == COUNTS


def test_counts_and_keys_may_be_numpy_integers_and_module_names_may_be_numpy_2s(tmp_path: Path) -> None:
    table = {np.int64(symbol * 3): np.uint32(count) for symbol, count in COUNTS.items()}
    assert read_frequencies(save_table(tmp_path / "t", table), 3) == COUNTS
    data = pickle.dumps(released_table(), 2)
    renamed = data.replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
    old = data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert renamed != old
    assert read_plain_pickle(renamed) == read_plain_pickle(old) == released_table()


@given(
    counts=st.dictionaries(st.integers(0, 3000), st.integers(1, 2**40), min_size=1, max_size=30),
    step=st.sampled_from([0.5, 3.3831, 6.95, 1.0, 10.0]),
)
@settings(max_examples=40)
def test_float32_multiples_of_the_step_become_their_symbols(counts: dict[int, int], step: float) -> None:
    from sc2_spic_plugin.importers.frequencies import _symbol_counts

    counts = {**counts, 1: 5}
    table = {float(np.float32(step) * np.float32(symbol)): count for symbol, count in counts.items()}
    assert _symbol_counts(table, step) == counts


def test_released_tables_read_as_an_unpickler_reads_them(reference: Path) -> None:
    for unit in find_published_units(reference, missing="skip"):
        expected = pickle.loads(unit.table.read_bytes())  # noqa: S301 - the released files, as the released code does
        ours = read_frequencies(unit.table, unit.step)
        assert {np.float32(unit.step) * np.float32(symbol): count for symbol, count in ours.items()} == expected


MARKER = "ran"
UNSAFE = {
    "system": (Carrier(os.system, f"touch {MARKER}"), r"names `posix\.system`"),
    "eval": ({0.0: Carrier(eval, f"open('{MARKER}', 'w')")}, r"names `builtins\.eval`"),
    "a class": ({0.0: Carrier(Path, MARKER)}, r"names `pathlib\.Path`"),
    "an array": ({0.0: np.zeros(3)}, r"names `numpy\.(_core|core)\.multiarray\._reconstruct`|names `numpy\._core"),
    "an object scalar": (Carrier(np.dtype, "O"), "calls `numpy.dtype`"),
    "a list": ([0.0, 3], "uses the instruction (EMPTY_)?LIST"),
    "a text": ({"0.0": 3}, "type str where a number"),
    "a tuple key": ({(0.0,): 3}, "type tuple where a number"),
    "a dict in a dict": ({0.0: {0: 1}}, "type dict where a number"),
    "a number": (5, "type int where a dictionary"),
    "nothing": ({0.0: None}, "type NoneType where a number"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("what", UNSAFE)
def test_whatever_is_no_number_is_refused_by_name_and_never_run(
    what: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, message = UNSAFE[what]
    path = save_table(tmp_path / "t", content, protocol)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError, match=message):
        read_frequencies(path, STEP)
    assert not (tmp_path / MARKER).exists()


def test_names_hidden_in_the_memo_or_the_extension_registry_are_refused() -> None:
    hidden = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x04true\x85R."
    with pytest.raises(RefusedPickleError, match=r"os\.system"):
        read_plain_pickle(hidden)
    with pytest.raises(RefusedPickleError, match="EXT1"):
        read_plain_pickle(b"\x80\x02\x82\x01.")
    with pytest.raises(RefusedPickleError, match="sets the state"):
        read_plain_pickle(b"\x80\x02cnumpy\ndtype\n}b.")


def test_bombs_are_refused() -> None:
    bombs = [
        b"\x80\x04N" + b"\x85" * 100_000 + b".",  # a tuple in a tuple in a tuple
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",  # bytes that are not there
        b"\x80\x04}(K\x00\x8b" + struct.pack("<i", 9000) + b"\x01" * 9000 + b"u.",  # a number of 72,000 bits
        b"\x80\x04" + b"(t" * 60_000,  # marks as far as one can see
        b"x" * (1 << 19),
    ]
    for bomb in bombs:
        with pytest.raises(RefusedPickleError):
            read_plain_pickle(bomb)
    far_memo = b"\x80\x04}r" + struct.pack("<I", 2**32 - 1) + b"."  # an unpickler would make room for 2**32 entries
    assert read_plain_pickle(far_memo) == {}


@pytest.mark.parametrize("protocol", [0, 4])
def test_a_truncated_table_is_refused_wherever_it_ends(protocol: int) -> None:
    data = pickle.dumps(released_table(), protocol)
    for end in range(len(data)):
        with pytest.raises(RefusedPickleError):
            read_plain_pickle(data[:end])


@given(st.data())
@settings(max_examples=150)
def test_altered_bytes_give_an_error_of_ours_or_whole_counts(data: st.DataObject) -> None:
    from sc2_spic_plugin.importers.frequencies import _symbol_counts

    altered = bytearray(pickle.dumps(released_table(), data.draw(st.sampled_from([0, 2, 4]))))
    for _ in range(data.draw(st.integers(1, 4))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    try:
        counts = _symbol_counts(read_plain_pickle(bytes(altered)), STEP)
    except (RefusedPickleError, TableError):
        return
    assert all(type(symbol) is int and type(count) is int and count > 0 for symbol, count in counts.items())


@pytest.mark.parametrize(
    ("table", "step", "message"),
    [
        ({0.0: 9, 2.0: 3}, 3.0, "2 is no multiple of step 3: a table for another step"),
        ({0.0: 9, 4.0: 3, 8.0: 1}, 2.0, r"multiple of 2 steps of 2: a table for another step \(4\?\)"),
        ({0.0: 9, 3.3832: 3}, 3.3831, "no multiple"),
        ({0.0: 9, -3.0: 3}, 3.0, "negative"),
        ({float("nan"): 9}, 3.0, "no number"),
        ({True: 9}, 1.0, "no number"),
        ({1e30: 9}, 3.0, "32-bit"),
        ({0.0: 0}, 3.0, "count of 0 is 0"),
        ({0.0: 4, 3.0: -1}, 3.0, "count of 3 is -1"),
        ({0.0: 2.5}, 3.0, "count of 0 is 2.5"),
        ({0.0: float("inf")}, 3.0, "positive whole"),
        ({3.0: 1, 3.0000002: 1}, 3.0, "two keys"),
        ({}, 3.0, "empty"),
    ],
)
def test_a_table_that_cannot_be_the_units_is_refused(table: Any, step: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message):
        read_frequencies(save_table(tmp_path / "t", table), step)


def test_a_missing_or_empty_file_and_a_senseless_step_are_said(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read_frequencies(tmp_path / "t", 1.0)
    (tmp_path / "t").touch()
    with pytest.raises(TableError, match="empty"):
        read_frequencies(tmp_path / "t", 1.0)
    with pytest.raises(ConfigError, match="positive"):
        read_frequencies(tmp_path / "t", 0.0)
