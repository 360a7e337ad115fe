"""Laws of SC2's three-way trade-off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sc2_spic_plugin.leaderboard import Source
from sc2_spic_plugin.leaderboard.comparison.tradeoff import encoder_times_rate, three_way_front
from sc2_spic_plugin.leaderboard.results.curve import build_curves

SIZES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(80, 85)), min_size=1, max_size=12)


@given(SIZES)
def test_no_point_of_the_three_way_front_is_beaten_and_every_other_is(sizes: list[tuple[int, int, int]]) -> None:
    points = _points([(f"p{i}", *size) for i, size in enumerate(sizes)])
    front = three_way_front(points)

    def values(point) -> tuple[float, float, float]:
        return point.mean("encoder_kilobytes"), point.bpp, -point.accuracy

    def beaten(point) -> bool:
        mine = values(point)
        return any(
            values(other) != mine and all(a <= b for a, b in zip(values(other), mine, strict=True)) for other in points
        )

    assert [point for point in points if not beaten(point)] == front


def _points(rows: list[tuple[str, float, float, float]]) -> list:
    from sc2_spic_plugin.leaderboard import Point
    from sc2_spic_plugin.leaderboard.results.curve import CurvePoint, Origin

    made = [
        Point(unit=unit, bpp=float(bpp), top1=float(top1), payload_bytes=512.0 * bpp, encoder_kilobytes=float(size))
        for unit, size, bpp, top1 in rows
    ]
    return [CurvePoint(point.unit, (Origin(point, Source(None)),)) for point in made]  # type: ignore[arg-type]


def test_a_point_without_an_encoder_size_is_on_no_three_way_front_and_has_no_product(make_result) -> None:
    (curve,) = build_curves([Source(make_result("original", [(None, 87.5)]))])
    assert three_way_front(curve.points) == [] and encoder_times_rate(curve.points[0]) is None
    (small,) = _points([("a", 100.0, 2.0, 80.0)])
    assert encoder_times_rate(small) == pytest.approx(100.0)  # 100 KB x 1 KB
