"""A suite's results are shipped whole and small, and nothing that is there is replaced unasked."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from board_parts import Board
from typer.testing import CliRunner

from sc2_spic_plugin.cli.comparing import leaderboard
from sc2_spic_plugin.cli.shipping import ship_results
from sc2_spic_plugin.errors import CheckpointError, ConfigError, DataError
from sc2_spic_plugin.leaderboard import ResultFile, Source, per_image_csv_path
from sc2_spic_plugin.leaderboard.results import Origin, table_name
from sc2_spic_plugin.leaderboard.results.curve_tables import CurveTables
from sc2_spic_plugin.models import load_unit


def test_the_units_of_a_curve_are_different_and_their_files_are_a_bank_for_anyone(board: Board) -> None:
    low, high = (
        [row.payload_bytes for row in CurveTables(board.committed / "bank.csv.gz").rows(f"{name}.seed0", "top1")]
        for name in ("low", "high")
    )
    assert sum(low) < sum(high) and len(set(high)) > 1
    from sc2_spic_plugin.cli.opening import open_config

    job = next(job for job in board.jobs if job.curve == "bank")
    model: Any = open_config(job.folder / "job.yaml", board.committed.parent / "x.yaml", "cpu", 0).built.model
    load_unit(model, board.committed / "units" / "bank" / "seed1" / "low", "shipped")
    assert list(model.units) == ["low", "high", "shipped"]


def test_shipped_results_make_a_leaderboard_as_others_do_and_units_beside_them_are_no_strays(board: Board) -> None:
    app = typer.Typer()
    app.command()(leaderboard)
    shipped, measured = (CliRunner().invoke(app, [str(folder)]) for folder in (board.committed, board.out / "results"))
    assert shipped.exit_code == 0 and shipped.stderr == ""
    assert shipped.stdout == measured.stdout


def test_shipping_again_changes_nothing_and_replaces_nothing_else_unasked(board: Board, tmp_path: Path) -> None:
    results = board.copy(tmp_path / "there")
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    sizes = ship_results(board.out, results, ["alone"])
    units = [path for path in before if "units" in path.parts and "alone" in path.parts]
    assert {path: len(before[path]) for path in (*results.glob("*.*"), *units)} == {**sizes.results, **sizes.units}
    for name in ("jpeg.csv.gz", "units/alone/w0.001.json"):
        (results / name).write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"jpeg\.csv\.gz, .*w0\.001\.json hold something else"):
        ship_results(board.out, results, ["alone"])
    assert (results / "jpeg.csv.gz").read_bytes() == b"mine"
    ship_results(board.out, results, ["alone"], overwrite=True)
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def without(board: Board, dropped: str, folder: Path, **changes: Any) -> Path:
    """Returns a suite's folder with the curve `bank` alone, without one of its units."""
    path = board.out / "results" / "bank.json"
    result = ResultFile.load(path)
    points = [dataclasses.replace(point, **changes) for point in result.points if point.unit != dropped]
    ResultFile("bank", result.description, points, result.meta).save(folder / "results" / "bank.json")
    for point in points:
        shutil.copy(per_image_csv_path(path, table_name(Origin(point, Source(result)))), folder / "results")
    return folder


def test_points_that_were_measured_elsewhere_are_added_to_those_that_are_there(board: Board, tmp_path: Path) -> None:
    low, high = (without(board, each, tmp_path / each) for each in ("high", "low"))
    results = tmp_path / "there"
    ship_results(low, results)
    ship_results(high, results, add=True)
    for name in ("bank.json", "bank.csv.gz"):
        there, before = (folder / name for folder in (results, board.committed))
        assert there.read_bytes() == before.read_bytes()
    ship_results(low, results, add=True)  # known already
    assert (results / "bank.json").read_bytes() == (board.committed / "bank.json").read_bytes()


def test_a_point_measured_otherwise_is_not_replaced_unasked(board: Board, tmp_path: Path) -> None:
    results = board.copy(tmp_path / "there")
    before = (results / "bank.json").read_bytes()
    other = without(board, "high", tmp_path / "other", bpp=9.0)
    with pytest.raises(ConfigError, match=r"`bank` has `low` with another rate or accuracy there; pass --overwrite"):
        ship_results(other, results, add=True)
    assert (results / "bank.json").read_bytes() == before
    ship_results(other, results, add=True, overwrite=True)
    there = ResultFile.load(results / "bank.json").points
    assert {point.unit: point.bpp == 9.0 for point in there} == {"low": True, "high": False}


def test_a_part_of_a_curve_that_is_no_longer_there_does_not_stay_behind(board: Board, tmp_path: Path) -> None:
    results = board.copy(tmp_path / "there")
    (results / "bank@2.json").write_text((results / "bank.json").read_text())
    with pytest.raises(ConfigError, match=r"bank@2\.json hold something else"):
        ship_results(board.out, results)
    ship_results(board.out, results, overwrite=True)
    assert not (results / "bank@2.json").exists() and (results / "bank.json").is_file()


def test_only_chosen_units_are_shipped_and_what_has_none_is_refused(board: Board, tmp_path: Path) -> None:
    shipped = ship_results(board.out, tmp_path / "to", ["bank"], seed=1)
    assert {path.relative_to(tmp_path / "to" / "units").as_posix() for path in shipped.units} == {
        f"bank/seed1/{name}.{suffix}" for name in ("low", "high") for suffix in ("json", "safetensors")
    }
    for arguments, error, message in (
        ((["bonk"],), ConfigError, "Did you mean `bank`"),
        ((["bank"], 7), ConfigError, "it has 0, 1"),
        ((["jpeg"],), CheckpointError, "has no unit to ship"),
        ((["original"],), CheckpointError, "has no unit to ship"),
    ):
        with pytest.raises(error, match=message):
            ship_results(board.out, tmp_path / "other", *arguments)
    assert not (tmp_path / "other").exists()


def test_a_point_without_its_table_or_checkpoint_is_not_shipped(board: Board, tmp_path: Path) -> None:
    out = Path(shutil.copytree(board.out, tmp_path / "out"))
    (out / "points" / "alone" / "w0.001" / "checkpoint.pt").unlink()
    with pytest.raises(CheckpointError, match=r"`alone/w0\.001` has no unit to ship"):
        ship_results(out, tmp_path / "to", ["alone"])
    (out / "results" / "jpeg.q5.csv").unlink()
    with pytest.raises(DataError, match=r"`q5` of .*has no per-image table"):
        ship_results(out, tmp_path / "to")
    assert not (tmp_path / "to").exists()
    with pytest.raises(DataError, match="name the folder of `sc2-spic bench`"):
        ship_results(tmp_path, tmp_path / "to")
