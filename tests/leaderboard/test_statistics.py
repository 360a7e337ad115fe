"""Laws of the bootstrap, the Pareto front and interpolation along it."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import bootstrap_interval, bpp_at_accuracy, pareto_front, summarise


class Pair(NamedTuple):
    bpp: float | None
    accuracy: float


PAIRS = st.lists(st.builds(Pair, st.floats(1e-4, 10), st.integers(0, 100).map(float)), max_size=30)


@given(PAIRS)
def test_no_front_point_is_dominated_and_every_other_point_is(points: list[Pair]) -> None:
    front = pareto_front(points)

    def beaten(point: Pair) -> bool:
        return any(p.bpp <= point.bpp and p.accuracy >= point.accuracy and p != point for p in points)

    assert not any(beaten(point) for point in front)
    assert all(beaten(point) for point in points if point not in front)
    assert all(a.bpp < b.bpp and a.accuracy < b.accuracy for a, b in pairwise(front))


def test_points_without_a_rate_are_on_no_front() -> None:
    assert pareto_front([Pair(None, 99.0), Pair(1.0, 50.0)]) == [Pair(1.0, 50.0)]


@given(PAIRS.filter(bool), st.lists(st.floats(0, 100), min_size=2, max_size=8))
def test_the_rate_needed_never_falls_as_the_accuracy_asked_for_rises(points: list[Pair], targets: list[float]) -> None:
    rates = [bpp_at_accuracy(points, target) for target in sorted(targets)]
    known = [rate for rate in rates if rate is not None]
    assert rates[: len(known)] == known  # once out of reach, always out of reach
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(known))


@given(PAIRS.filter(bool))
def test_interpolation_passes_through_the_points_of_the_front(points: list[Pair]) -> None:
    for point in pareto_front(points):
        assert bpp_at_accuracy(points, point.accuracy) == pytest.approx(point.bpp, rel=1e-12)


def test_between_neighbours_the_rate_is_linear_in_its_logarithm_and_never_extrapolated() -> None:
    points = [Pair(0.01, 80.0), Pair(0.04, 90.0), Pair(0.5, 85.0)]
    assert bpp_at_accuracy(points, 85.0) == pytest.approx(0.02)
    assert bpp_at_accuracy(points, 90.1) is None
    assert bpp_at_accuracy(points, 70.0) == 0.01
    assert bpp_at_accuracy(points, 70.0, clamp=False) is None
    assert bpp_at_accuracy([], 70.0) is None


@pytest.mark.parametrize("share", [0.5, 0.875])
def test_the_bootstrap_of_right_and_wrong_agrees_with_the_normal_interval(share: float) -> None:
    correct = np.zeros(4000)
    correct[: int(4000 * share)] = 1
    low, high = bootstrap_interval(correct, resamples=4000)
    half = 1.96 * np.sqrt(share * (1 - share) / 4000)
    assert low == pytest.approx(share - half, abs=0.1 * half) and high == pytest.approx(share + half, abs=0.1 * half)


def test_the_bootstrap_agrees_with_drawing_images_one_by_one() -> None:
    generator = np.random.default_rng(3)
    values = generator.exponential(size=200)
    drawn = values[generator.integers(0, 200, size=(4000, 200))].mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    assert bootstrap_interval(values, resamples=4000) == pytest.approx(expected, abs=0.02)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_bootstrap_depends_on_values_and_seed_not_on_the_order_of_images(values: list[int], random) -> None:
    shuffled = random.sample(values, len(values))
    state = np.random.get_state()[1].copy()
    assert bootstrap_interval(values, resamples=50) == bootstrap_interval(shuffled, resamples=50)
    assert (np.random.get_state()[1] == state).all()
    low, high = bootstrap_interval(values, resamples=50)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_statistics_of_nothing_or_of_nan_are_refused() -> None:
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(DataError, match="at least one value, all of them finite"):
            bootstrap_interval(values)
    with pytest.raises(DataError, match="level between 0 and 1"):
        bootstrap_interval([1.0], level=95)


def test_the_summary_states_location_and_spread() -> None:
    assert summarise([1, 2, 3, 10]) == pytest.approx((4.0, 2.5, np.std([1, 2, 3, 10], ddof=1), 1.0, 10.0, 4))
    assert summarise([7.0]).std == 0.0
