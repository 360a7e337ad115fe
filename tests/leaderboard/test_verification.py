"""A committed point is found by its name; what was measured or trained again is judged by what the result states."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from made_up_board import made_up_result

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import PerImageOverlap, PerImageRow, Point, ResultFile, Source
from sc2_spic_plugin.leaderboard.results import Origin, image_table
from sc2_spic_plugin.leaderboard.results.provenance import collect_versions
from sc2_spic_plugin.leaderboard.verification import (
    check_exactly,
    check_images,
    check_retrained,
    find_point,
    shipped_unit_path,
)
from sc2_spic_plugin.leaderboard.verification.retrained import prediction_interval

ROWS = [PerImageRow(f"{index:03d}.png", 20 + index, index % 3 > 0) for index in range(100)]


def _measured(rows: list[PerImageRow], code_bytes: float | None = None) -> Point:
    payload = sum(row.payload_bytes for row in rows) / len(rows)
    return Point(
        unit="u0",
        bpp=payload * 8 / 160**2,
        top1=100 * sum(row.correct for row in rows) / len(rows),
        payload_bytes=payload,
        code_bytes=payload - 1 if code_bytes is None else code_bytes,
    )


@pytest.fixture
def sources(make_result) -> list[Source]:
    """Two curves; the point `u1` of the first was trained with three seeds, one of them by other code."""
    spic, jpeg = make_result("spic"), make_result("jpeg")
    points = [
        *spic.points,
        *(dataclasses.replace(spic.points[1], seed=seed, bpp=0.02 + seed / 1000, top1=85.2 + seed) for seed in (1,)),
    ]
    other = dataclasses.replace(spic.points[1], seed=2, bpp=0.019, top1=85.0)
    files = {
        "spic.json": ResultFile("spic", "", points, spic.meta),
        "spic@2.json": ResultFile("spic", "", [other], dataclasses.replace(spic.meta, code_version="0.2.0")),
        "jpeg.json": jpeg,
    }
    return [Source(result, Path("table") / name) for name, result in files.items()]


def test_a_point_is_found_by_curve_unit_and_seed(sources: list[Source]) -> None:
    for name, seed, file in (
        ("spic/u0", 0, "spic"),
        ("spic/u1@1", 1, "spic"),
        ("spic@2/u1", 2, "spic@2"),
        ("spic/u1@2", 2, "spic@2"),  # a curve that was shipped in parts is one curve
    ):
        origin = find_point(sources, name)
        assert (origin.point.seed, origin.source.path.stem) == (seed, file)
    for name, message in (
        ("spic", "called CURVE/UNIT"),
        ("spik/u0", "Did you mean `spic`"),
        ("jpeg/u01", "no point `u01`. Did you mean .*`u0`"),
        ("spic/u1", "say which: `spic/u1@0`, `spic/u1@1`, `spic/u1@2`"),
        ("spic/u1@7", "no point `u1@7`"),
    ):
        with pytest.raises(ConfigError, match=message):
            find_point(sources, name)
    with pytest.raises(ConfigError, match=r"several files `jpeg.json`: .*elsewhere"):
        find_point([*sources, Source(sources[-1].result, Path("elsewhere/jpeg.json"))], "jpeg/u0")


def test_a_shipped_unit_lies_by_curve_and_by_seed_only_where_there_are_several(sources: list[Source]) -> None:
    paths = [shipped_unit_path(Path("units"), find_point(sources, name)) for name in ("spic/u0", "spic/u1@1")]
    assert paths == [Path("units/spic/u0"), Path("units/spic/seed1/u1")]


def test_the_same_table_in_any_order_holds(make_result) -> None:
    point = _measured(ROWS)
    check = check_exactly(make_result().meta, point, ROWS, _measured(ROWS[::-1]), ROWS[::-1])
    assert check.holds and check.lines() == [
        "all 100 images: as many payload bytes each, right or wrong as committed "
        "(66.00 %, 0.02172 bpp, 68.5 code bytes per image)"
    ]


def test_every_image_that_differs_is_counted_and_the_first_are_shown(make_result) -> None:
    rows = [row._replace(payload_bytes=row.payload_bytes + 1) if index < 7 else row for index, row in enumerate(ROWS)]
    rows[50] = rows[50]._replace(correct=not rows[50].correct)
    check = check_exactly(make_result().meta, _measured(ROWS), ROWS, _measured(rows), rows)
    lines = check.lines()
    assert not check.holds and [each.committed.image for each in check.differences] == [
        ROWS[index].image for index in (*range(7), 50)
    ]
    assert lines[0] == "8 of 100 images differ, 7 in payload bytes and 1 in the answer"
    assert lines[1] == "  000.png: 20 bytes committed, 21 here" and lines[6] == "  and 3 more"
    assert {figure.name for figure in check.figures} == {"top1", "bpp", "payload_bytes", "code_bytes"}
    assert any("more than rounding" in line for line in lines)


def test_a_few_images_point_to_rounding_with_the_versions_that_changed(make_result) -> None:
    rows = [ROWS[0]._replace(correct=not ROWS[0].correct), *ROWS[1:]]
    meta = make_result(versions={**collect_versions(), "torch": "1.0"}).meta
    lines = check_exactly(meta, _measured(ROWS), ROWS, _measured(rows), rows).lines()
    assert "  000.png: wrong committed, right here" in lines
    assert any("another kind of CPU" in line and "version of torch" in line for line in lines)
    assert f"  torch: 1.0, {collect_versions()['torch']}" in lines and not any("numpy" in line for line in lines)


def test_code_bytes_that_differ_under_equal_payloads_do_not_hold(make_result) -> None:
    check = check_exactly(make_result().meta, _measured(ROWS), ROWS, _measured(ROWS, code_bytes=70.0), ROWS)
    assert not check.holds and not check.differences
    assert "code bytes per image: 68.5 committed, 70.0 here" in check.lines()


def test_a_mask_that_differs_in_a_pixel_is_an_image_that_differs(make_result) -> None:
    row = PerImageOverlap("a.png", 9, (3, 4), (5, 6), (4, 5))
    point = Point(unit="u0", bpp=0.1, miou=63.0, payload_bytes=9)
    check = check_exactly(make_result().meta, point, [row], point, [row._replace(union=(5, 7))])
    assert not check.holds and "  a.png: other pixels per class" in check.lines()
    (line,) = check_exactly(make_result().meta, point, [row], point, [row]).lines()
    assert "as many payload bytes each, pixels per class as committed" in line


def test_other_images_are_refused_and_counted() -> None:
    check_images(ROWS, [row.image for row in reversed(ROWS)])
    with pytest.raises(DataError, match=r"1 of its 100 are missing, 2 are none of its \(`000.png` for one\)"):
        check_images(ROWS, [*(row.image for row in ROWS[1:]), "x.png", "y.png"])


def test_a_prediction_interval_covers_one_further_draw_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(5, 2, (2000, 4))
    inside = 0
    for *known, further in draws:
        low, high = prediction_interval(known)
        inside += low <= further <= high
    assert inside / len(draws) == pytest.approx(0.95, abs=0.02)  # 4 standard errors
    low, high = prediction_interval([1.0, 2.0])
    half = math.tan(math.pi * 0.475) * math.sqrt(0.5) * math.sqrt(1.5)  # one degree of freedom: Cauchy's quantile
    assert (low, high) == pytest.approx((1.5 - half, 1.5 + half))
    with pytest.raises(DataError, match="train the point with a second seed"):
        prediction_interval([1.0])


def test_several_seeds_judge_the_committed_figure_by_the_other_seeds_and_the_new_training(
    sources: list[Source],
) -> None:
    origin = find_point(sources, "spic/u1@1")
    others = {"top1": [85.2, 85.0], "bpp": [60 * 8 / 160**2, 0.019]}
    for name, value, holds in (
        ("top1", 85.1, False),
        ("top1", 84.0, True),
        ("bpp", 0.0188, False),
        ("bpp", 0.0175, True),
    ):
        low, high = prediction_interval([*others[name], value])
        assert (low <= getattr(origin.point, name) <= high) == holds
        check = check_retrained(sources, origin, dataclasses.replace(origin.point, **{name: value}))
        assert check.holds == holds, (name, value)
        (said,) = (line for line in check.lines() if not line.endswith(", the same"))
        assert "from seeds 0, 2 and the new one (t, 2 degrees of freedom)" in said
        assert ("committed one within" if holds else "committed one OUTSIDE") in said


@pytest.mark.parametrize("forged", [{"top1": 95.0}, {"bpp": 0.004}])
def test_a_forged_figure_has_no_part_in_the_interval_that_judges_it(sources: list[Source], forged: dict) -> None:
    true = find_point(sources, "spic/u1@1").point
    points = [dataclasses.replace(p, **forged) if p.key == true.key else p for p in sources[0].result.points]
    spoilt = [sources[0]._replace(result=dataclasses.replace(sources[0].result, points=points)), *sources[1:]]
    assert not check_retrained(spoilt, find_point(spoilt, "spic/u1@1"), true).holds


def test_seeds_that_agree_leave_no_room(sources: list[Source]) -> None:
    result = sources[0].result
    points = [dataclasses.replace(result.points[0], seed=seed, top1=70.0 + (seed == 0)) for seed in (0, 1, 2)]
    source = Source(dataclasses.replace(result, points=points), Path("other/spic.json"))
    check = check_retrained([source], Origin(points[0], source), points[1])
    assert not check.holds and "committed one OUTSIDE 70 to 70" in check.lines()[0]


@pytest.fixture
def single(tmp_path: Path) -> Origin:
    """A point of one seed with its per-image table."""
    path = made_up_result(tmp_path, "spic", {"u0": (1000.0, 80.0)})
    result = ResultFile.load(path)
    return Origin(result.points[0], Source(result, path))


def test_one_seed_judges_accuracy_by_its_images_and_verifies_no_other_rate(single: Origin) -> None:
    point = single.point
    low, _ = image_table(single).interval()
    assert check_retrained([single.source], single, point).holds, "it came out again"
    assert check_retrained([single.source], single, dataclasses.replace(point, top1=low)).holds
    worse = check_retrained([single.source], single, dataclasses.replace(point, top1=low - 0.1))
    assert not worse.holds and "retrained one OUTSIDE" in worse.lines()[0]
    twice = check_retrained([single.source], single, dataclasses.replace(point, bpp=2 * point.bpp))
    assert not twice.holds and "+100.0%; NOT JUDGED" in twice.lines()[1] and "not verified" in twice.lines()[-1]


def test_an_interval_that_the_file_only_claims_judges_nothing(single: Origin) -> None:
    wide = dataclasses.replace(single.point, confidence_low=0.0, confidence_high=100.0)
    result = dataclasses.replace(single.source.result, points=[wide])
    far = dataclasses.replace(wide, top1=wide.top1 - 30)
    assert not check_retrained([], Origin(wide, single.source._replace(result=result)), far).holds
    with pytest.raises(DataError, match="no per-image table"):
        check_retrained([], Origin(wide, Source(result)), far)


def test_seeds_so_far_apart_that_nothing_can_lie_outside_verify_nothing(sources: list[Source]) -> None:
    result = sources[0].result
    first = dataclasses.replace(result.points[0], seed=0, top1=20.0, bpp=0.02)
    points = [first, dataclasses.replace(first, seed=1, top1=40.0, bpp=0.02)]
    source = Source(dataclasses.replace(result, points=points), Path("other/spic.json"))
    check = check_retrained([source], Origin(first, source), dataclasses.replace(first, top1=60.0))
    assert not check.holds and "NOT JUDGED: nothing can lie outside" in check.lines()[0]
    assert "not verified" in check.lines()[-1]
