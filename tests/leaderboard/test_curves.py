"""Which files make one curve, what the mean over seeds is, and which files cannot stand together."""

import dataclasses
import json
from pathlib import Path

import pytest

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import (
    PublishedCurve,
    ResultFile,
    Source,
    collect_results,
    compare_all,
    render_markdown,
)
from sc2_spic_plugin.leaderboard.results.curve import Curve, build_curves


def _curves(*results: ResultFile) -> list[Curve]:
    return build_curves([Source(result) for result in results])


def _renamed(result: ResultFile, name: str, unit: str = "{}", seed: int = 0, **changes: object) -> ResultFile:
    points = [dataclasses.replace(p, unit=unit.format(p.unit), seed=seed, **changes) for p in result.points]
    return dataclasses.replace(result, name=name, points=points)


def test_single_points_of_one_method_are_one_curve_whatever_their_files_are_called(make_result) -> None:
    runs = [_renamed(make_result(rates=[(size, 80.0 + size / 10)]), f"run{size}", f"u{size}") for size in (10, 20, 30)]
    (curve,) = _curves(*runs)
    assert [point.unit for point in curve.points] == ["u10", "u20", "u30"] and curve.variant is None


def test_files_of_other_seeds_join_the_points_they_repeat_and_all_values_are_means(make_result) -> None:
    first = make_result(rates=[(10.0, 80.0), (30.0, 84.0)])
    second = _renamed(make_result(rates=[(14.0, 81.0), (34.0, 86.0)]), "again", seed=1)
    (curve,) = _curves(first, second)
    assert [point.seeds for point in curve.points] == [[0, 1], [0, 1]] and curve.common_seeds == [0, 1]
    low, high = curve.points
    assert low.mean("payload_bytes") == 12.0 and high.accuracy == 85.0
    assert low.error == (80.0, 81.0) and high.spread("payload_bytes") == (30.0, 34.0)
    assert low.mean("encode_ms") is None and low.spread("encode_ms") is None
    assert [point.payload_bytes for point in curve.of_seed(1)] == [14.0, 34.0]


def test_one_seed_has_its_interval_as_error_and_no_spread(make_result) -> None:
    (curve,) = _curves(make_result(rates=[(10.0, 80.0)]))
    assert curve.points[0].error == pytest.approx((78.9, 81.0)) and curve.points[0].spread("bpp") is None


def test_another_training_of_the_same_points_is_a_curve_of_its_own_under_its_name(make_result) -> None:
    short, long = make_result(), _renamed(make_result(), "twice the images", config_sha256="f" * 64)
    assert [curve.label for curve in _curves(short, long)] == ["SPIC: spic", "SPIC: twice the images"]
    longer = _renamed(make_result(rates=[(24.0, 83.0), (60.0, 86.0)]), "other points", "long-{}")
    assert {curve.variant for curve in _curves(short, longer)} == {"spic", "other points"}


@pytest.mark.parametrize("change", [{"cut": "layer2"}, {"supervision": "unsupervised"}, {"bypassed": True}])
def test_another_split_supervision_or_bypass_is_another_curve_without_a_name(make_result, change: dict) -> None:
    curves = _curves(make_result(cut="layer3", supervision="supervised"), make_result(**change))
    assert len(curves) == 2 and all(curve.variant is None for curve in curves)


def test_a_copy_of_a_file_adds_nothing(make_result) -> None:
    (curve,) = _curves(make_result(), _renamed(make_result(), "copy"))
    assert [len(point.origins) for point in curve.points] == [1, 1, 1]


def test_folders_are_searched_once_and_other_json_is_named(tmp_path: Path, make_result) -> None:
    path = make_result().save(tmp_path / "deep" / "spic.json")
    (tmp_path / "comparison.json").write_text('{"groups": []}')
    found = collect_results([tmp_path, path, tmp_path / "deep"])
    assert [source.path for source in found.sources] == [path] and found.skipped == [tmp_path / "comparison.json"]


def _spoilt(tmp_path: Path, make_result, column: str, value: object) -> Path:
    path = make_result().save(tmp_path / "good.json")
    document = json.loads(path.read_text())
    place = document["meta"] if column in document["meta"] else document["results"]
    place[column] = value
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("top1", [82.0, float("nan"), 86.6], r"results.top1\[1\] is nan"),
        ("schema_version", 99, "schema_version is 99, this version reads 1"),
        ("unit", ["u0", "u1"], "must be a list of 3 entries"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, make_result, column, value, message) -> None:
    path = _spoilt(tmp_path, make_result, column, value)
    with pytest.raises(DataError, match=rf"spoilt.json: .*{message}"):
        collect_results([tmp_path])
    path.write_text("{")
    with pytest.raises(DataError, match=r"spoilt\.json cannot be read as JSON"):
        collect_results([tmp_path])


def test_a_file_asked_for_by_name_must_be_a_result(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json: `name` is missing"):
        collect_results([tmp_path / "other.json"])
    with pytest.raises(DataError, match="no result file among the paths"):
        collect_results([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.json file below"):
        collect_results([tmp_path / "empty"])


def test_two_files_that_disagree_about_a_point_are_both_named(tmp_path: Path, make_result) -> None:
    make_result().save(tmp_path / "a.json")
    make_result(rates=[(24.0, 82.0), (60.0, 85.3), (140.0, 86.6)]).save(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"a.json and .*b.json contradict each other: spic, point `u1` \(seed 0\)"):
        collect_results([tmp_path])
    make_result(protocol="other").save(tmp_path / "b.json", overwrite=True)
    assert len(collect_results([tmp_path]).sources) == 2


def test_a_published_curve_needs_a_source_and_points_that_can_be() -> None:
    curve = PublishedCurve("SPIC S1", "figure 6", [0.2, 0.1], [80.0, 70.0], bypassed=True)
    assert curve.bpp == (0.1, 0.2) and curve.accuracy == (70.0, 80.0)
    assert curve.label == "SPIC S1 (bypassed, as published)"
    with pytest.raises(DataError, match="a name and a source"):
        PublishedCurve("SPIC S1", "", [0.1], [70.0])
    with pytest.raises(DataError, match="2 rates and 1 accuracies"):
        PublishedCurve("SPIC S1", "figure 6", [0.1, 0.2], [70.0])
    with pytest.raises(DataError, match=r"0.0 bpp at 70.0 % is no point"):
        PublishedCurve("SPIC S1", "figure 6", [0.0], [70.0])


def test_points_made_with_another_config_are_no_seeds_of_each_other(tmp_path: Path, make_result) -> None:
    first = make_result()
    others = [dataclasses.replace(point, seed=1, config_sha256="cd" * 32) for point in first.points]
    paths = [tmp_path / name / "spic.json" for name in ("one", "two")]
    sources = [Source(first, paths[0]), Source(dataclasses.replace(first, points=others), paths[1])]
    one, two = build_curves(sources)
    assert [len(point.origins) for point in (*one.points, *two.points)] == [1] * 6
    assert {one.label, two.label} == {"SPIC: spic (one/spic.json)", "SPIC: spic (two/spic.json)"}
    same = dataclasses.replace(first, points=[dataclasses.replace(point, seed=1) for point in first.points])
    (curve,) = build_curves([Source(first), Source(same)])
    assert [len(point.origins) for point in curve.points] == [2, 2, 2] and curve.label == "SPIC"


def test_results_of_part_of_the_images_stand_beside_no_others(tmp_path: Path, make_result) -> None:
    make_result("jpeg").save(tmp_path / "jpeg.json")
    make_result("webp", samples=200).save(tmp_path / "webp.json")
    with pytest.raises(DataError, match=r"jpeg\.json was measured on 3925 images, .*webp\.json on 200"):
        collect_results([tmp_path])
    make_result("heic", samples=123, bits="reported").save(tmp_path / "webp.json", overwrite=True)
    assert len(collect_results([tmp_path]).sources) == 2


def test_a_result_without_a_point_is_in_no_table(make_result) -> None:
    empty = dataclasses.replace(make_result("jpeg", network="other"), points=[])
    assert "other" not in render_markdown([make_result(), empty])
    assert len(compare_all([Source(make_result()), Source(empty)])) == 1
