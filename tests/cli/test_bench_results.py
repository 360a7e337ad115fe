"""The result files of a suite: one for each curve, with one provenance, and nothing that contradicts itself."""

import re
from pathlib import Path
from typing import Any

import pytest
from bench_parts import HIGH, SPIC, FakeRunner, make_jobs, no_waiting, run, write_result

from sc2_spic_plugin.leaderboard import ResultFile, read_per_image_csv
from sc2_spic_plugin.leaderboard.results.collect import Source
from sc2_spic_plugin.leaderboard.results.curve import build_curves

pytestmark = pytest.mark.usefixtures("no_waiting")
__all__ = ["no_waiting"]  # a fixture


def test_points_of_all_seeds_make_one_file_with_a_table_each(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "seeds": [0, 1]}])
    run(jobs)
    results = tmp_path / "out" / "results"
    points = ResultFile.load(results / "spic_l1-supervised.json").points
    assert sorted((point.unit, point.seed) for point in points) == [("high", 0), ("high", 1), ("low", 0), ("low", 1)]
    for unit in ("low", "high"):
        for seed in (0, 1):
            assert read_per_image_csv(results / f"spic_l1-supervised.{unit}.seed{seed}.csv")[0].image == "a"
    assert not (results / "spic_l1-supervised.low.csv").exists()


def test_a_bank_adds_a_point_for_each_unit(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "points": None}])
    name = "spic_l1-supervised/all"
    run(jobs, FakeRunner({name: lambda job: write_result(job, units=["u0", "u1", "u2"])}))
    path = tmp_path / "out" / "results" / "spic_l1-supervised.json"
    assert [point.unit for point in ResultFile.load(path).points] == ["u0", "u1", "u2"]
    assert (path.parent / "spic_l1-supervised.u2.csv").is_file()


def test_each_file_has_one_provenance_and_all_are_one_curve(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path)
    run(jobs, FakeRunner({HIGH: lambda job: write_result(job, code_version="0.0.1+gold")}))
    results = tmp_path / "out" / "results"
    paths = [results / "spic_l1-supervised.json", results / "spic_l1-supervised@2.json"]
    files = [ResultFile.load(path) for path in paths]
    assert [file.meta.code_version == "0.0.1+gold" for file in files] == [False, True]
    assert [[point.unit for point in file.points] for file in files] == [["low"], ["high"]]
    assert (results / "spic_l1-supervised@2.high.csv").is_file()
    (curve,) = build_curves([Source(file, path) for file, path in zip(files, paths, strict=True)])
    assert {point.unit for point in curve.points} == {"low", "high"}
    run(jobs, redo_stale=True)
    assert not list(results.glob("*@2*")) and len(ResultFile.load(paths[0]).points) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": ["low"]}, "two jobs of `spic_l1-supervised` have a point `low`"),
        ({"cut": "layer3"}, r"has cut 'layer3', other points .* have 'layer2'"),
        ({"method": "spic_static_table"}, "has method 'spic_static_table'"),
    ],
)
def test_points_that_contradict_each_other_make_no_file_and_are_said(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    jobs = make_jobs(tmp_path)
    finished = run(jobs, FakeRunner({HIGH: lambda job: write_result(job, **wrong)}))
    assert re.search(message, finished.problems["spic_l1-supervised"])
    assert {result.name for result in finished.results} == {"original", "label", "jpeg"}
    assert not finished.summary.failed
