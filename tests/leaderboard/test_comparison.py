"""Laws of the comparison: deltas, rates at a drop, the three-way front, latency, and what is not defined."""

import dataclasses
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
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
from sc2_spic_plugin.leaderboard.comparison.bjontegaard_delta import bjontegaard_delta
from sc2_spic_plugin.leaderboard.comparison.comparison import rate_at
from sc2_spic_plugin.leaderboard.comparison.intervals import delta_interval, rate_interval
from sc2_spic_plugin.leaderboard.comparison.link import end_to_end_ms, transfer_ms
from sc2_spic_plugin.leaderboard.comparison.redrawn import Redrawn, redraw
from sc2_spic_plugin.leaderboard.comparison.tables import comparison_tables
from sc2_spic_plugin.leaderboard.results.curve import CurvePoint, build_curves


def _compare(*results: ResultFile, against: list[str] | None = None) -> Comparison:
    (comparison,) = compare_all([Source(result) for result in results], against)
    return comparison


def _cells(comparison: Comparison, title: str) -> list[dict[str, str]]:
    (rows,) = (table.rows for table in comparison_tables(comparison) if table.title == title)
    return [dict(zip(rows.headings, cells, strict=True)) for cells in rows.cells]


def test_the_rate_at_a_drop_is_linear_in_its_logarithm_and_undefined_where_never_reached(make_result) -> None:
    (curve,) = build_curves([Source(make_result(rates=[(20.0, 80.0), (80.0, 86.0), (90.0, 85.0)]))])
    halfway = rate_at(curve, 83.0)
    assert halfway.bpp == pytest.approx(40.0 * 8 / 160**2) and not halfway.is_bound
    assert rate_at(curve, 86.1).bpp is None
    assert rate_at(curve, 70.0) == (pytest.approx(20.0 * 8 / 160**2), True, None)


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
    again = delta_interval(*redraw([each.curve, each.anchor]))
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


def test_the_interval_of_a_rate_is_that_of_the_same_images_for_the_original(made_up: Path) -> None:
    sources = collect_results([made_up / f"{name}.json" for name in ("original", "spic_l1")]).sources
    (comparison,) = compare_all(sources, [])
    by_method = dict(zip([curve.meta.method for curve in comparison.curves], comparison.rates, strict=True))
    at = by_method["spic_l1"][2]
    assert at.interval.low < at.bpp and (at.interval.high is None or at.bpp < at.interval.high)
    assert by_method["original"] == (None, None, None)
    (rows,) = (row for row in _cells(comparison, "Rate at a drop in accuracy") if row["Method"].startswith("SPIC"))
    assert re.fullmatch(r"0\.\d+ \[0\.\d+, (0\.\d+|never)\]", rows["bpp at −5"])  # noqa: RUF001


def test_a_curve_that_reaches_the_accuracy_in_some_draws_has_an_end_where_it_never_does() -> None:
    accuracy = np.array([[70.0] * 100, [80.0] * 60 + [90.0] * 40])
    curve = Redrawn(("a",), 64.0, np.array([[8.0] * 100, [16.0] * 100]), accuracy)
    original = np.full(100, 86.0)
    assert rate_interval(curve, original, 1.0) == (pytest.approx(2 ** (15 / 20)), None)
    assert rate_interval(curve, original, 6.0).high == pytest.approx(2.0)
    assert rate_interval(curve, original + 50, 1.0) == (None, None)
    assert rate_interval("no table", original, 1.0) is None and rate_interval(curve, None, 1.0) is None


def test_curves_of_other_images_or_image_sizes_have_no_interval(tmp_path: Path) -> None:
    rates = {"a": (200.0, 70.0), "b": (400.0, 80.0), "c": (1000.0, 88.0)}
    for method in ("jpeg", "webp"):
        made_up_result(tmp_path, method, rates)
    curves = build_curves(collect_results([tmp_path]).sources)
    one, other = redraw(curves)
    assert delta_interval(one, other).interval is not None
    for changed in (
        Redrawn(("x",), one.pixels, one.bpp, one.accuracy),
        Redrawn(one.images, 9.0, one.bpp, one.accuracy),
    ):
        assert (
            delta_interval(changed, other).reason == "the two curves were measured on different images or image sizes"
        )
    points = [dataclasses.replace(curves[0].points[0].points[0], bpp=1.0), *curves[0].points[1].points]
    origins = [
        (dataclasses.replace(each.origins[0]._replace(point=point).point), each)
        for point, each in zip(points, curves[0].points[:2], strict=True)
    ]
    mixed = dataclasses.replace(
        curves[0],
        points=tuple(CurvePoint(each.unit, (each.origins[0]._replace(point=point),)) for point, each in origins),
    )
    assert redraw([mixed]) == ["the rates do not follow from payload bytes and one image size"]


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
