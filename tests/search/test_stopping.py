"""Laws of early stopping and of the front: who is on the front is never stopped, and no point of it is dominated."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sc2_spic_plugin.search.front import front_of
from sc2_spic_plugin.search.space import EarlyStopping
from sc2_spic_plugin.search.stopping import clearly_beaten, epochs_before_look

PAIRS = st.lists(st.tuples(st.integers(0, 20).map(float), st.integers(1, 20).map(lambda n: n / 100)), min_size=1)


def trials(pairs: list[tuple[float, float]]) -> list[Any]:
    complete = SimpleNamespace(name="COMPLETE")
    return [SimpleNamespace(number=n, state=complete, values=pair, params={}) for n, pair in enumerate(pairs)]


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


@given(PAIRS)
def test_no_point_of_the_front_is_dominated_and_every_other_is(pairs: list[tuple[float, float]]) -> None:
    front = {(each.accuracy, each.bpp) for each in front_of(trials(pairs))}
    assert front and front <= set(pairs)
    for pair in pairs:
        assert any(dominates(other, pair) for other in pairs) == (pair not in front)


@given(PAIRS)
def test_who_is_on_the_front_of_a_bank_is_never_stopped(pairs: list[tuple[float, float]]) -> None:
    measured = {f"t{n}": SimpleNamespace(accuracy=pair[0], bpp=pair[1]) for n, pair in enumerate(pairs)}
    beaten = clearly_beaten(measured, EarlyStopping())
    assert len(beaten) < len(pairs)
    for name in beaten:
        assert any(dominates(other, pairs[int(name[1:])]) for other in pairs)


def test_a_margin_is_needed() -> None:
    best = SimpleNamespace(accuracy=80.0, bpp=0.10)
    rule = EarlyStopping(accuracy=2.0, rate=0.2)
    for accuracy, bpp, stopped in ((78.1, 0.10, False), (78.0, 0.10, True), (80.0, 0.124, False), (80.0, 0.125, True),
                                   (60.0, 0.09, False)):  # fmt: skip
        own = SimpleNamespace(accuracy=accuracy, bpp=bpp)
        assert clearly_beaten({"best": best, "own": own}, rule) == ({"own"} if stopped else set())


def test_candidates_are_looked_at_once_and_never_at_the_end() -> None:
    assert [epochs_before_look(epochs, EarlyStopping()) for epochs in (1, 2, 3, 9, 20)] == [None, 1, 1, 3, 7]
    assert epochs_before_look(9, None) is None and epochs_before_look(4, EarlyStopping(after=0.99)) == 3
