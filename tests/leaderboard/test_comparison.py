"""Laws of the comparison: deltas, rates at a drop, the three-way front, latency, and what is not defined."""

import dataclasses
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_board import made_up_board, made_up_result

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import (
    Comparison,
    ResultFile,
    Source,
    collect_results,
    compare_all,
    comparison_document,
    render_comparison,
    render_csv,
)
from sc2_spic_plugin.leaderboard.bjontegaard_delta import bjontegaard_delta
from sc2_spic_plugin.leaderboard.comparison import rate_at
from sc2_spic_plugin.leaderboard.comparison_tables import comparison_tables
from sc2_spic_plugin.leaderboard.curve import build_curves
from sc2_spic_plugin.leaderboard.delta_interval import delta_interval
from sc2_spic_plugin.leaderboard.link import end_to_end_ms, transfer_ms
from sc2_spic_plugin.leaderboard.tradeoff import encoder_times_rate, three_way_front


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


def _compare(*results: ResultFile, against: list[str] | None = None) -> Comparison:
    (comparison,) = compare_all([Source(result) for result in results], against)
    return comparison


def _cells(comparison: Comparison, title: str) -> list[dict[str, str]]:
    (rows,) = (table.rows for table in comparison_tables(comparison) if table.title == title)
    return [dict(zip(rows.headings, cells, strict=True)) for cells in rows.cells]


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


def test_points_off_the_front_change_nothing_and_are_counted() -> None:
    noisy = [*CURVE, Pair(0.2, 75.0), Pair(0.06, 77.0)]
    clean, dirty = bjontegaard_delta(CURVE[:3], CURVE), bjontegaard_delta(CURVE[:3], noisy)
    assert dirty.dropped == (0, 2) and dirty.points == (3, 4)
    assert dirty.rate_percent == clean.rate_percent and dirty.accuracy_points == clean.accuracy_points


def test_a_front_too_steep_to_interpolate_has_no_delta_instead_of_an_infinite_one() -> None:
    steep = [Pair(1e-3, 10.0), Pair(2e-3, 10.1), Pair(9.0, 10.1 + 1e-9), Pair(10.0, 80.0)]
    delta = bjontegaard_delta(steep, CURVE)
    assert delta.rate_percent is None and "overflows" in delta.rate_reason


def test_without_overlap_or_with_a_single_point_nothing_is_defined_and_the_reason_is_said() -> None:
    apart = bjontegaard_delta([Pair(5.0, 20.0), Pair(6.0, 30.0)], CURVE)
    assert apart.rate_percent is apart.accuracy_points is apart.overlap_accuracy is apart.overlap_bpp is None
    assert apart.rate_reason == "no accuracy is reached by both" and apart.accuracy_reason == "no rate is spent by both"
    single = bjontegaard_delta(CURVE, CURVE[:1])
    assert single.rate_percent is None and single.rate_reason == "the anchor has 1 point on its front, a delta needs 2"


def test_the_rate_at_a_drop_is_linear_in_its_logarithm_and_undefined_where_never_reached(make_result) -> None:
    (curve,) = build_curves([Source(make_result(rates=[(20.0, 80.0), (80.0, 86.0), (90.0, 85.0)]))])
    halfway = rate_at(curve, 83.0)
    assert halfway.bpp == pytest.approx(40.0 * 8 / 160**2) and not halfway.is_bound
    assert rate_at(curve, 86.1).bpp is None
    assert rate_at(curve, 70.0) == (pytest.approx(20.0 * 8 / 160**2), True)


def test_rates_are_stated_below_the_original_beside_what_the_label_costs(board) -> None:
    rows = _cells(_compare(*board), "Rate at a drop in accuracy")
    (label,) = (row for row in rows if row["Method"] == "send the label")
    assert label["bpp at −1"] == "≤ 0.000625"  # noqa: RUF001
    (student,) = (row for row in rows if row["Method"].startswith("Entropic"))
    expected = 700 * (1500 / 700) ** ((85.5 - 85) / 1.5) * 8 / 160**2
    assert student["bpp at −2"] == f"{expected:.4f}"  # noqa: RUF001
    (mean_scale,) = (row for row in rows if "mean-scale" in row["Method"])
    assert mean_scale["bpp at −1"] == "never reached" and mean_scale["On front"] == "2 of 2"  # noqa: RUF001


def test_without_the_original_no_drop_is_stated(make_result) -> None:
    comparison = _compare(make_result(), make_result("jpeg", [(900.0, 80.0), (2000.0, 86.0)]))
    assert comparison.original is None and "no drop can be stated" in render_comparison([comparison])
    assert not any(heading.startswith("bpp at") for heading in _cells(comparison, "Rate at a drop in accuracy")[0])


def test_two_originals_that_disagree_are_named(make_result) -> None:
    other = make_result("original", [(None, 87.9)])
    other = dataclasses.replace(other, name="second", points=[dataclasses.replace(other.points[0], unit="again")])
    with pytest.raises(DataError, match=r"original and second contradict each other: .* 87.5 % and 87.9 %"):
        _compare(make_result("original", [(None, 87.5)]), other)


def test_every_curve_is_compared_with_the_anchor_of_its_own_split_and_supervision(make_result) -> None:
    kinds = [{"cut": cut, "supervision": how} for cut in ("a", "b") for how in ("supervised", "unsupervised")]
    curves = [make_result(method, **kind) for method in ("spic_static_table", "spic_l1") for kind in kinds]
    comparison = _compare(*curves, make_result("jpeg"), against=["spic_l1", "jpeg"])
    pairs = [(each.curve.meta, each.anchor.meta) for each in comparison.against]
    tables = [
        (mine, theirs) for mine, theirs in pairs if mine.method == "spic_static_table" and theirs.method == "spic_l1"
    ]
    assert len(tables) == 4
    assert all((mine.cut, mine.supervision) == (theirs.cut, theirs.supervision) for mine, theirs in tables)
    assert sum(mine.method == "jpeg" for mine, _ in pairs) == 4
    assert not any(mine.method == theirs.method for mine, theirs in pairs)


def test_an_anchor_that_nobody_measured_is_refused_with_the_nearest_name(make_result) -> None:
    with pytest.raises(ConfigError, match=r"no result is of method `jpg`\. Did you mean `jpeg`"):
        _compare(make_result(), make_result("jpeg"), against=["jpg"])


def test_bypassed_published_and_reference_rows_are_not_compared_and_it_is_said_why(make_result) -> None:
    comparison = _compare(
        make_result(), make_result("jpeg"), make_result("label", [(2.0, 87.0)]), make_result("spic_l1", bypassed=True)
    )
    assert {each.curve.meta.method for each in comparison.against} == {"spic"}
    text = render_comparison([comparison])
    assert "send the label (a reference)" in text
    assert "SPIC, l1 (bypassed) (bits past the cut are not counted)" in text


def test_the_ratio_is_of_the_anchors_bits_and_never_of_a_bound(make_result) -> None:
    original = make_result("original", [(None, 87.0)])
    mine = make_result(rates=[(10.0, 80.0), (20.0, 86.0)])
    anchor = make_result("jpeg", [(1000.0, 83.0), (2000.0, 86.0)])
    (each,) = _compare(original, mine, anchor, against=["jpeg"]).against
    assert each.ratios == (pytest.approx(100.0), pytest.approx(2000 * 0.5 ** (1 / 3) / (20 * 0.5 ** (1 / 6))), None)


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
    from sc2_spic_plugin.leaderboard.curve import CurvePoint, Origin

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


def test_latency_is_compute_plus_bits_over_the_link_and_falls_with_its_rate(tmp_path: Path) -> None:
    path = made_up_result(tmp_path, "spic", {"u": (1000.0, 80.0)}, encoder=(10, 30, 9), per_image=False)
    result = ResultFile.load(path)
    (curve,) = build_curves([Source(result)])
    payload = result.points[0].payload_bytes
    assert end_to_end_ms(curve.points[0], 0.1) == pytest.approx(39 + payload * 8 / 100)
    times = [end_to_end_ms(curve.points[0], link) for link in (0.1, 1, 10, 1e9)]
    assert all(a > b for a, b in pairwise(times)) and times[-1] == pytest.approx(39, abs=1e-3)
    with pytest.raises(DataError, match="a rate above zero"):
        transfer_ms(100, 0)


def test_without_measured_times_there_is_no_latency_and_no_table_of_it(board) -> None:
    comparison = _compare(*board)
    assert all(end_to_end_ms(point, 1.0) is None for curve in comparison.curves for point in curve.points)
    assert "latency" not in render_comparison([comparison])


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Path:
    return made_up_board(tmp_path_factory.mktemp("board"))


def test_the_interval_of_a_delta_holds_it_and_repeats(made_up: Path) -> None:
    (comparison,) = compare_all(collect_results([made_up / "unsupervised.json", made_up / "spic_l1.json"]).sources)
    (each,) = comparison.against
    again = delta_interval(each.curve, each.anchor)
    assert each.interval.interval == again.interval is not None
    assert again.interval.low < each.delta.rate_percent < again.interval.high
    (cells,) = _cells(comparison, "Bjøntegaard deltas")
    assert " to " in cells["95 %"]


def test_on_the_same_images_a_curve_at_half_the_bytes_has_an_interval_of_no_width(tmp_path: Path) -> None:
    rates = {"a": (200.0, 70.0), "b": (400.0, 80.0), "c": (1000.0, 88.0)}
    made_up_result(tmp_path, "jpeg", rates, factor=2)
    made_up_result(tmp_path, "webp", rates)
    (comparison,) = compare_all(collect_results([tmp_path]).sources, ["jpeg"])
    (each,) = comparison.against
    assert each.delta.rate_percent == pytest.approx(-50)
    assert each.interval.interval == pytest.approx((-50, -50))


def test_a_table_of_another_measurement_is_refused_with_both_names(tmp_path: Path) -> None:
    path = made_up_result(tmp_path, "jpeg", {"a": (200.0, 70.0), "b": (400.0, 80.0)})
    made_up_result(tmp_path, "webp", {"a": (150.0, 70.0), "b": (300.0, 80.0)})
    (tmp_path / "jpeg.a.csv").write_bytes((tmp_path / "jpeg.b.csv").read_bytes())
    with pytest.raises(DataError, match=r"jpeg.a.csv and .*jpeg.json contradict each other: the table of point `a`"):
        compare_all(collect_results([path, tmp_path / "webp.json"]).sources, ["webp"])


def test_seeds_give_a_range_of_deltas_that_holds_the_deltas_of_each(made_up: Path) -> None:
    paths = [made_up / "spic_static_table.json", made_up / "spic_l1.json"]
    (comparison,) = compare_all(collect_results(paths).sources, ["spic_l1"])
    (each,) = comparison.against
    single = [bjontegaard_delta(each.curve.of_seed(seed), each.anchor.points).rate_percent for seed in (0, 1, 2)]
    assert each.seeds == (min(single), max(single)) and each.delta.dropped == (1, 0)


def test_groups_never_share_a_chapter_a_document_entry_or_a_row(made_up: Path) -> None:
    sources = collect_results([made_up]).sources
    comparisons = compare_all(sources, ["jpeg"])  # without per-image tables, so without intervals
    document = comparison_document(comparisons)
    json.dumps(document, allow_nan=False)
    assert [group["protocol"] for group in document["groups"]] == ["made-up-128", "made-up-64"]
    text = render_comparison(comparisons)
    assert text.count("\n## ") + text.startswith("## ") == 2
    lines = render_csv(sources).splitlines()
    heading = lines[0].split(",")
    assert {line.split(",")[heading.index("protocol")] for line in lines[1:]} == {"made-up-64", "made-up-128"}
    measured = sum(len(source.result.points) for source in sources)
    assert len(lines) == 1 + measured


def test_every_point_of_the_document_has_its_latency_and_its_place_on_the_three_way_front(made_up: Path) -> None:
    document = comparison_document(compare_all(collect_results([made_up]).sources, ["jpeg"]))
    (group,) = (group for group in document["groups"] if group["protocol"] == "made-up-64")
    curves = {(curve["method"], curve["supervision"]): curve for curve in group["curves"]}
    (point, *_) = curves["entropic_student", "supervised"]["front"]
    assert point["on_three_way_front"] and point["end_to_end_ms"]["0.1 Mbit/s"] > point["end_to_end_ms"]["10 Mbit/s"]
    assert not curves["label", None]["front"][0]["on_three_way_front"]
    assert curves["jpeg", None]["front"][0]["end_to_end_ms"]["1 Mbit/s"] is None
    assert curves["spic_static_table", "supervised"]["dropped_off_front"] == 1
