"""Per-image tables read back, packed or not: weighted images give what those images would have given."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import PerImageOverlap, PerImageRow, ResultFile, Source, write_per_image_csv
from sc2_spic_plugin.leaderboard.evaluation.overlap import ClassOverlaps
from sc2_spic_plugin.leaderboard.results import curve_tables as curve_tables_file
from sc2_spic_plugin.leaderboard.results.curve import Origin
from sc2_spic_plugin.leaderboard.results.curve_tables import CurveTables, curve_tables_path, pack_curve_tables
from sc2_spic_plugin.leaderboard.results.image_table import image_rows, image_table, image_table_path, table_name

CLASSES = 4


def _segmented(tmp_path: Path, make_result, absent_classes: str) -> tuple[Origin, ClassOverlaps]:
    """Returns a segmentation point with its table; the last class is in no mask."""
    import dataclasses

    generator = np.random.default_rng(1)
    labelled = generator.integers(0, 50, (12, CLASSES))
    labelled[:, -1] = 0
    intersection = (labelled * generator.random((12, CLASSES))).astype(int)
    union = labelled + generator.integers(0, 9, (12, CLASSES))
    overlaps = ClassOverlaps(intersection, union, labelled)
    result = make_result(rates=[(100.0, 50.0)])
    miou = overlaps.mean_iou(absent_classes)
    sizes = generator.integers(50, 150, 12)
    point = dataclasses.replace(
        result.points[0],
        top1=None,
        miou=miou,
        payload_bytes=float(sizes.mean()),
        confidence_low=None,
        confidence_high=None,
    )
    result = ResultFile("seg", "", [point], dataclasses.replace(result.meta, task="segmentation"))
    path = result.save(tmp_path / "seg.json")
    rows = [
        PerImageOverlap(f"{i:02d}", int(sizes[i]), *(tuple(map(int, c[i])) for c in (intersection, union, labelled)))
        for i in range(12)
    ]
    write_per_image_csv(tmp_path / "seg.u0.csv", rows)
    return Origin(result.points[0], Source(result, path)), overlaps


@pytest.mark.parametrize("absent_classes", ["skip", "zero"])
def test_a_weighted_mean_iou_is_that_of_the_images_drawn_so_often(tmp_path, make_result, absent_classes: str) -> None:
    origin, overlaps = _segmented(tmp_path, make_result, absent_classes)
    table = image_table(origin)
    drawn = [0, 0, 3, 5, 5, 5, 8, 9, 10, 11, 11, 1]
    weights = np.bincount(drawn, minlength=12)[None].astype(float)
    repeated = ClassOverlaps(*(c[drawn] for c in (overlaps.intersection, overlaps.union, overlaps.labelled)))
    assert table.accuracy(weights) == pytest.approx([repeated.mean_iou(absent_classes)])
    assert table.payload(weights) == pytest.approx([table.payload_bytes[drawn].mean()])


def test_a_point_without_a_file_or_a_table_has_none(tmp_path: Path, make_result) -> None:
    result = make_result()
    assert image_table(Origin(result.points[0], Source(result))) is None
    path = result.save(tmp_path / "spic.json")
    assert image_table_path(Origin(result.points[0], Source(result, path))) is None


def _rows(size: int, images: int = 40, seed: int = 0) -> list[PerImageRow]:
    draws = np.random.default_rng(seed)
    return [
        PerImageRow(
            f"class/image {i}, {draws.integers(10**8)}.png", int(draws.integers(size)), bool(draws.random() < 0.9)
        )
        for i in range(images)
    ]


def test_packed_tables_are_those_that_were_packed_and_smaller(tmp_path: Path, make_result) -> None:
    import dataclasses

    result = make_result()
    ids = [row.image for row in _rows(1)]
    tables = {
        f"u{k}": [row._replace(image=i) for row, i in zip(_rows(60, seed=k), ids, strict=True)] for k in (0, 1, 2)
    }
    points = [
        dataclasses.replace(
            point,
            payload_bytes=sum(row.payload_bytes for row in tables[point.unit]) / 40,
            top1=100 * sum(row.correct for row in tables[point.unit]) / 40,
            confidence_low=None,
            confidence_high=None,
        )
        for point in result.points
    ]
    result = dataclasses.replace(result, points=points)
    path = result.save(tmp_path / "spic.json")
    origins = [Origin(point, Source(result, path)) for point in result.points]
    plain = [write_per_image_csv(tmp_path / f"spic.{name}.csv", rows) for name, rows in tables.items()]
    weights = np.random.default_rng(5).multinomial(40, np.full(40, 1 / 40), size=3).astype(float)
    before = [
        (image_rows(each), image_table(each).accuracy(weights), image_table(each).payload(weights)) for each in origins
    ]
    content = pack_curve_tables({"u2": tables["u2"][::-1], "u0": tables["u0"], "u1": tables["u1"]})
    assert (
        len(content)
        < sum(len(gzip.compress(each.read_bytes())) for each in plain)
        < sum(each.stat().st_size for each in plain)
    )
    for each in plain:
        each.unlink()
    curve_tables_path(path).write_bytes(content)
    for origin, (rows, accuracy, payload) in zip(origins, before, strict=True):
        assert image_table_path(origin) == tmp_path / "spic.csv.gz" and table_name(origin) == origin.point.unit
        assert sorted(image_rows(origin)) == sorted(rows)
        assert (image_table(origin).accuracy(weights) == accuracy).all() and (
            image_table(origin).payload(weights) == payload
        ).all()
    assert content == pack_curve_tables({"u2": tables["u2"][::-1], "u0": tables["u0"], "u1": tables["u1"]})
    other = Origin(dataclasses.replace(points[0], unit="u9"), origins[0].source)
    assert image_table_path(other) is None and image_rows(other) is None
    wrong = Origin(dataclasses.replace(points[0], top1=1.0), origins[0].source)
    with pytest.raises(DataError, match="contradict each other"):
        image_table(wrong)


def test_packed_tables_of_a_segmentation_are_those_that_were_packed(tmp_path: Path) -> None:
    rows = [PerImageOverlap(f"{i}.png", i, (i, 2), (i + 1, 3), (i, 4)) for i in range(5)]
    path = tmp_path / "seg.csv.gz"
    path.write_bytes(pack_curve_tables({"w0.5": rows}))
    assert list(CurveTables(path).rows("w0.5", "miou")) == rows
    with pytest.raises(DataError, match="the first line must be image,payload_bytes,correct"):
        CurveTables(path).rows("w0.5", "top1")
    with pytest.raises(DataError, match=r"Did you mean `w0\.5`"):
        CurveTables(path).rows("w0,5", "miou")


def test_tables_that_cannot_be_packed_are_refused() -> None:
    with pytest.raises(DataError, match="`b` is of other images than that of `a`"):
        pack_curve_tables({"a": _rows(9), "b": _rows(9)[1:]})
    with pytest.raises(DataError, match="`a/b`; rename the point"):
        pack_curve_tables({"a/b": _rows(9)})
    with pytest.raises(DataError, match="is there twice"):
        pack_curve_tables({"a": [_rows(9)[0]] * 2})
    with pytest.raises(DataError, match="without points"):
        pack_curve_tables({})


def test_damaged_packed_tables_say_so_whatever_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_result
) -> None:
    whole = pack_curve_tables({"u0": _rows(60)})
    path = tmp_path / "spic.csv.gz"
    lines = gzip.decompress(whole).decode().splitlines()
    broken = {
        "cannot be read as per-image tables": [
            b"no gzip",
            whole[:-9],
            whole[:40] + b"\0" + whole[41:],
            gzip.compress(b"\xff"),
        ],
        "line 3: 2 entries, the header has 3": [gzip.compress("\n".join([*lines[:2], "x,1"]).encode())],
        "not TABLE/COLUMN": [gzip.compress(b"image,correct\n")],
    }
    for message, contents in broken.items():
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(DataError, match=message):
                CurveTables(path)
    monkeypatch.setattr(curve_tables_file, "LARGEST", 1000)
    path.write_bytes(gzip.compress(b"image" * 10**6))
    with pytest.raises(DataError, match="holds more than 1000 bytes"):
        CurveTables(path)
    result = make_result()
    origin = Origin(result.points[0], Source(result, tmp_path / "spic.json"))
    assert image_table_path(origin) == path  # which reading it says
    with pytest.raises(DataError, match="holds more than"):
        image_table(origin)
