"""Result files: exact round trip, CompressAI's reader, and every way an entry can be wrong."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import (
    Meta,
    Point,
    ResultFile,
    collect_environment,
    per_image_csv_path,
    read_per_image_csv,
    write_per_image_csv,
)


def test_a_result_survives_save_and_load_exactly(tmp_path: Path, make_result) -> None:
    result = make_result(supervision="supervised", cut="layer4.2")
    point = dataclasses.replace(result.points[0], unit="x", encode_ms=np.float32(0.1), extra={"server_macs": 7})
    result = dataclasses.replace(result, points=[*result.points, point])
    assert ResultFile.load(result.save(tmp_path / "r" / "spic.json")) == result


def test_the_file_has_parallel_lists_in_order_of_ascending_rate(tmp_path: Path, make_result) -> None:
    result = make_result(rates=[(90.0, 86.0), (9.0, 70.0), (30.0, 80.0)])
    document = json.loads(result.save(tmp_path / "r.json").read_text())
    assert set(document) == {"name", "description", "results", "meta"}
    assert document["results"]["payload_bytes"] == [9.0, 30.0, 90.0]
    assert {len(column) for column in document["results"].values()} == {3}
    promised = "bpp top1 code_bytes payload_bytes harness_kilobytes encoder_kilobytes encoder_macs encode_ms decode_ms"
    assert set(promised.split()) | {"unit", "config_sha256", "checkpoint_sha256", "seed"} <= set(document["results"])
    promised = "schema_version task dataset protocol network network_sha256 cut bypassed method supervision"
    assert set(promised.split()) | {"code_version", "versions", "samples", "date", "bits"} <= set(document["meta"])


def test_compressai_plots_the_file(tmp_path: Path, board, monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    from compressai.utils.plot.__main__ import main, parse_json_file

    files = [str(result.save(tmp_path / f"{number}.json")) for number, result in enumerate(board)]
    curve = parse_json_file(files[2], "top1")
    assert curve["name"] == "spic" and curve["ys"] == [82.0, 85.2, 86.6] and len(curve["xs"]) == 3
    main(["-f", *files, "-m", "top1", "-o", str(tmp_path / "c.png")])
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"


def test_another_result_is_never_overwritten_silently(tmp_path: Path, make_result) -> None:
    first, second = make_result(), make_result(rates=[(10.0, 70.0)])
    path = first.save(tmp_path / "r.json")
    before = path.read_bytes()
    first.save(path)
    with pytest.raises(DataError, match="overwrite=True"):
        second.save(path)
    assert path.read_bytes() == before
    assert ResultFile.load(second.save(path, overwrite=True)) == second
    path.write_text("not ours")
    with pytest.raises(DataError, match="holds another result"):
        first.save(path)


def test_merged_points_are_added_to_a_file_and_points_it_had_stay(tmp_path: Path, make_result) -> None:
    result = make_result()
    path = result.save(tmp_path / "r.json")
    again = dataclasses.replace(result.points[0], encode_ms=9.0)
    more = dataclasses.replace(result, points=[again, dataclasses.replace(result.points[0], unit="u9", bpp=0.001)])
    merged = ResultFile.load(path).merge(more)
    merged.save(path)
    assert [point.unit for point in ResultFile.load(path).points] == ["u9", "u0", "u1", "u2"]
    assert result.points[0] in merged.points


def test_results_that_contradict_or_differ_in_provenance_do_not_merge(make_result) -> None:
    result = make_result()
    other = dataclasses.replace(result, points=[dataclasses.replace(result.points[0], top1=50.0, confidence_low=40.0)])
    with pytest.raises(DataError, match="`u0` was measured as"):
        result.merge(other)
    with pytest.raises(DataError, match="they differ in protocol: 'imagenette-160', 'p'"):
        result.merge(make_result(protocol="p"))
    with pytest.raises(DataError, match=r"`u0` \(seed 0\) is there twice"):
        dataclasses.replace(result, points=[*result.points, *other.points])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d["results"]["top1"].__setitem__(1, float("nan")), r"results.top1\[1\] is nan"),
        (lambda d: d["results"]["bpp"].__setitem__(2, None), "`bpp` is missing"),
        (lambda d: d["results"]["top1"].__setitem__(0, None), "`top1` is missing"),
        (lambda d: d["results"]["payload_bytes"].__setitem__(0, "many"), "entry 0 of results: `payload_bytes` must be"),
        (lambda d: d["results"]["top1"].__setitem__(0, 101), "0 to 100 percent"),
        (lambda d: d["results"]["unit"].pop(), "results.unit must be a list of 3"),
        (lambda d: d["results"].pop("top1"), "results.top1 is missing"),
        (lambda d: d["meta"].__setitem__("schema_version", 2), "schema_version is 2, this version reads 1"),
        (lambda d: d["meta"].__setitem__("protocl", "x"), "Unknown key meta.protocl. Did you mean `protocol`"),
        (lambda d: d["meta"].pop("method"), "meta.method is missing"),
        (lambda d: d["meta"].__setitem__("task", "segmentatoin"), "Did you mean `segmentation`"),
        (lambda d: d.pop("results"), "`results` is missing"),
    ],
)
def test_a_damaged_file_is_refused_naming_file_and_entry(tmp_path: Path, make_result, damage, message: str) -> None:
    path = make_result().save(tmp_path / "r.json")
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"r.json.*{message}"):
        ResultFile.load(path)


def test_a_file_that_is_absent_or_cut_off_is_refused(tmp_path: Path, make_result) -> None:
    with pytest.raises(DataError, match="no result file"):
        ResultFile.load(tmp_path / "absent.json")
    path = make_result().save(tmp_path / "r.json")
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DataError, match="cannot be read as JSON"):
        ResultFile.load(path)


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path, make_result, monkeypatch) -> None:
    path = make_result().save(tmp_path / "r.json")
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        make_result("jpeg").save(path, overwrite=True)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan"), -1.0, True, "3"])
def test_a_point_refuses_values_that_are_no_measurement(value: object) -> None:
    with pytest.raises(DataError, match="payload_bytes"):
        Point(bpp=1.0, top1=1.0, unit="u", payload_bytes=value)


def test_collected_provenance_names_versions_and_environment_but_no_host() -> None:
    import platform

    meta = Meta.collect(task="classification", dataset="d", protocol="p", network="n", method="spic", samples=1)
    assert meta.versions["torch"] and meta.environment == collect_environment()
    assert meta.environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert meta.environment["threads"] >= 1 and meta.date.endswith("+00:00")
    assert platform.node() not in meta.environment.values()


def test_per_image_rows_survive_the_table_exactly(tmp_path: Path) -> None:
    rows = [("a, b.png", 12, True), ('"c".png', 0, False)]
    path = write_per_image_csv(per_image_csv_path(tmp_path / "spic.json", "u3"), rows)
    assert path.name == "spic.u3.csv" and path.read_text().splitlines()[0] == "image,payload_bytes,correct"
    assert read_per_image_csv(path) == rows


def test_per_image_tables_refuse_doubled_images_and_name_damaged_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`a` is there twice"):
        write_per_image_csv(tmp_path / "t.csv", [("a", 1, True), ("a", 1, True)])
    assert not list(tmp_path.iterdir())
    path = write_per_image_csv(tmp_path / "t.csv", [("a", 1, True)])
    path.write_text(path.read_text() + "b,many,1\n")
    with pytest.raises(DataError, match="line 3"):
        read_per_image_csv(path)
    with pytest.raises(DataError, match="cannot be part of a file name"):
        per_image_csv_path(path, "../u")
