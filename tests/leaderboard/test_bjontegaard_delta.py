"""Laws of the Bjøntegaard deltas, and where they are not defined."""

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2_spic_plugin.leaderboard.comparison.bjontegaard_delta import bjontegaard_delta, log_rate, rate_difference
from sc2_spic_plugin.leaderboard.statistics import pareto_front


class Pair(NamedTuple):
    bpp: float
    accuracy: float


CURVE = [Pair(0.02, 70.0), Pair(0.05, 78.0), Pair(0.11, 82.0), Pair(0.3, 84.5)]
STEPS = st.lists(st.tuples(st.floats(0.1, 1.0), st.floats(1.0, 9.0)), min_size=2, max_size=8)
FRONTS = st.builds(
    lambda low, base, steps: [
        Pair(low * 10 ** sum(s[0] for s in steps[:n]), base + sum(s[1] for s in steps[:n])) for n in range(len(steps))
    ],
    st.floats(1e-3, 1.0),
    st.floats(0, 25),
    STEPS,
)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_curve_at_a_multiple_of_the_rate_differs_by_that_much_everywhere(factor: float) -> None:
    scaled = [Pair(point.bpp * factor, point.accuracy) for point in CURVE]
    assert bjontegaard_delta(scaled, CURVE).rate_percent == pytest.approx(100 * (factor - 1))


def test_a_curve_raised_by_two_points_differs_by_two_points() -> None:
    raised = [Pair(point.bpp, point.accuracy + 2) for point in CURVE]
    delta = bjontegaard_delta(raised, CURVE)
    assert delta.accuracy_points == pytest.approx(2.0)
    assert delta.overlap_bpp == pytest.approx((0.02, 0.3, 1.0))
    assert delta.overlap_accuracy == pytest.approx((72.0, 84.5, 12.5 / 16.5))


def test_two_points_each_agree_with_the_mean_of_straight_lines() -> None:
    mine, anchor = [Pair(0.1, 80.0), Pair(0.4, 84.0)], [Pair(0.1, 78.0), Pair(1.6, 82.0)]
    accuracies = np.linspace(80, 82, 10_001)
    logs = [
        np.interp(accuracies, *zip(*((p.accuracy, math.log10(p.bpp)) for p in c), strict=True)) for c in (mine, anchor)
    ]
    expected = 100 * (10 ** float(np.mean(logs[0] - logs[1])) - 1)
    assert bjontegaard_delta(mine, anchor).rate_percent == pytest.approx(expected, rel=1e-6)


@settings(max_examples=40)
@given(FRONTS, FRONTS)
def test_swapping_curve_and_anchor_inverts_the_rate_and_negates_the_accuracy(
    mine: list[Pair], theirs: list[Pair]
) -> None:
    there, back = bjontegaard_delta(mine, theirs), bjontegaard_delta(theirs, mine)
    assert (there.rate_percent is None) == (back.rate_percent is None) == (there.rate_reason is not None)
    if there.rate_percent is not None:
        ratios = (1 + there.rate_percent / 100) * (1 + back.rate_percent / 100)
        assert ratios == pytest.approx(1, rel=1e-6)
    if there.accuracy_points is not None:
        assert there.accuracy_points == pytest.approx(-back.accuracy_points, abs=1e-6)


@settings(max_examples=40)
@given(FRONTS, FRONTS)
def test_the_difference_of_kept_splines_is_that_of_the_bjontegaard_package(
    mine: list[Pair], theirs: list[Pair]
) -> None:
    expected = bjontegaard_delta(mine, theirs).rate_percent
    found = rate_difference(log_rate(pareto_front(mine)), log_rate(pareto_front(theirs)))
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9))


def test_a_plateau_behind_a_steep_segment_turns_no_sign_round() -> None:
    anchor = [Pair(0.00060, 64.5), Pair(0.00070, 84.7), Pair(0.0010, 85.0), Pair(0.0020, 86.0), Pair(0.004, 86.9)]
    fewer = [Pair(0.9 * point.bpp, point.accuracy) for point in anchor]
    fewer.insert(1, Pair(0.9 * math.sqrt(anchor[0].bpp * anchor[1].bpp), (64.5 + 84.7) / 2))
    delta = bjontegaard_delta(fewer, anchor)
    assert delta.rate_percent < 0 < delta.rate_percent_akima
    spline = log_rate(anchor)
    inside = np.linspace(64.5, 86.9, 500)
    assert (spline.integral.derivative()(inside) >= math.log(anchor[0].bpp) - 1e-9).all(), "below every measured rate"


def test_points_off_the_front_change_nothing_and_are_counted() -> None:
    noisy = [*CURVE, Pair(0.2, 75.0), Pair(0.06, 77.0)]
    clean, dirty = bjontegaard_delta(CURVE[:3], CURVE), bjontegaard_delta(CURVE[:3], noisy)
    assert dirty.dropped == (0, 2) and dirty.points == (3, 4)
    assert dirty.rate_percent == clean.rate_percent and dirty.accuracy_points == clean.accuracy_points


def test_a_front_too_steep_for_akima_has_no_such_delta_instead_of_an_infinite_one() -> None:
    steep = [Pair(1e-3, 10.0), Pair(2e-3, 10.1), Pair(9.0, 10.1 + 1e-9), Pair(10.0, 80.0)]
    delta = bjontegaard_delta(steep, CURVE)
    assert delta.rate_percent_akima is None and math.isfinite(delta.rate_percent) and delta.rate_reason is None


def test_without_overlap_or_with_a_single_point_nothing_is_defined_and_the_reason_is_said() -> None:
    apart = bjontegaard_delta([Pair(5.0, 20.0), Pair(6.0, 30.0)], CURVE)
    assert apart.rate_percent is apart.accuracy_points is apart.overlap_accuracy is apart.overlap_bpp is None
    assert apart.rate_reason == "no accuracy is reached by both" and apart.accuracy_reason == "no rate is spent by both"
    single = bjontegaard_delta(CURVE, CURVE[:1])
    assert single.rate_percent is None and single.rate_reason == "the anchor has 1 point on its front, a delta needs 2"
