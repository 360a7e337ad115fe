"""Committed results hold when measured or trained again; what was altered does not, and is named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from bench_parts import FakeRunner, no_waiting, write_result
from board_parts import CURVES, IMAGES, Board, Trainer, write_weights
from typer.testing import CliRunner

from sc2_spic_plugin.cli import verifying
from sc2_spic_plugin.cli.comparing import leaderboard
from sc2_spic_plugin.errors import ConfigError, TrainingError
from sc2_spic_plugin.leaderboard import ResultFile
from sc2_spic_plugin.leaderboard.results.curve_tables import CurveTables, pack_curve_tables

__all__ = ["no_waiting"]  # a fixture


@pytest.mark.parametrize(
    "point", ["bank/low@0", "bank/high@1", "alone/w0.001", "jpeg/q5", "label/label", "original/network"]
)
def test_every_committed_point_holds_image_by_image_with_nothing_but_what_is_shipped(board: Board, point: str) -> None:
    done = board.verify(point)
    assert done.exit_code == 0, done.output
    assert f"{point} holds, measured again" in done.stdout and f"all {IMAGES} images" in done.stdout
    assert ("units" in done.stdout) == point.startswith(CURVES)


def test_a_whole_checkpoint_gives_the_same_and_another_one_is_refused(board: Board) -> None:
    folder = board.out / "points" / "bank"
    done = board.verify("bank/high@1", "--checkpoint", folder / "all-seed1" / "checkpoint.pt")
    assert done.exit_code == 0 and f"all {IMAGES} images" in done.stdout
    message = board.refusal("bank/high@1", "--checkpoint", folder / "all" / "checkpoint.pt")
    assert "is not the checkpoint that was measured" in message
    assert "no checkpoint at" in board.refusal("bank/high@1", "--checkpoint", "nowhere.pt")


def test_an_altered_table_does_not_hold_and_the_images_that_differ_are_counted_and_named(
    board: Board, tmp_path: Path
) -> None:
    results = board.copy(tmp_path / "altered")
    path = results / "alone.csv.gz"
    rows = list(CurveTables(path).rows("w0.001", "top1"))
    sizes = [row.payload_bytes for row in rows]
    first, second = (sizes.index(extreme) for extreme in (min(sizes), max(sizes)))
    assert first != second
    rows[first] = rows[first]._replace(payload_bytes=sizes[first] + 1)
    rows[second] = rows[second]._replace(payload_bytes=sizes[second] - 1)  # the mean is as before
    path.write_bytes(pack_curve_tables({"w0.001": rows}))
    done = board.verify("alone/w0.001", results=results)
    assert done.exit_code == 1 and "DOES NOT HOLD" in done.stdout
    assert f"2 of {IMAGES} images differ, 2 in payload bytes and 0 in the answer" in done.stdout
    assert f"{rows[first].image}: {sizes[first] + 1} bytes committed, {sizes[first]} here" in done.stdout
    path.write_bytes(pack_curve_tables({"w0.001": rows[1:]}))
    assert "contradict each other" in board.refusal("alone/w0.001", results=results)
    path.unlink()
    assert "no per-image table" in board.refusal("alone/w0.001", results=results)


def test_a_shipped_unit_that_was_altered_does_not_hold_or_is_refused(board: Board, tmp_path: Path) -> None:
    results = board.copy(tmp_path / "altered")
    units = results / "units" / "bank" / "seed0"
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(units / f"low{suffix}", units / f"high{suffix}")
    assert board.verify("bank/high@0", results=results).exit_code == 1
    path = units / "low.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "is damaged, or belongs to another unit" in board.refusal("bank/low@0", results=results)
    path.unlink()
    assert "pair of files" in board.refusal("bank/low@0", results=results)


def _change(key: str, value: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        document = json.loads(path.read_text())
        document["meta"][key] = value
        path.write_text(json.dumps(document))

    return change


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("network_sha256", "cd" * 32, "is another network .digest .* than that of"),
        ("protocol_sha256", "cd" * 32, "the suite measures under protocol `synthetic-64`"),
        ("bits", "reported", "was not measured here .reported."),
    ],
)
def test_a_result_of_other_provenance_is_refused_before_anything_is_measured(
    board: Board, tmp_path: Path, key: str, value: str, message: str
) -> None:
    results = board.copy(tmp_path / "other")
    _change(key, value)(results / "jpeg.json")
    assert re.search(message, board.refusal("jpeg/q5", results=results))


def test_other_weights_and_other_images_are_refused_and_named(board: Board, tmp_path: Path) -> None:
    message = board.refusal("jpeg/q5", "--network", write_weights(tmp_path, 1))
    assert "another network" in message and "pass the weights" in message
    message = board.refusal("jpeg/q5", "--set", "report=1")
    assert f"8 of its {IMAGES} are missing, 0 are none of its" in message


@pytest.mark.parametrize(
    ("point", "arguments", "message"),
    [
        ("bank/low", [], "say which: `bank/low@0`, `bank/low@1`"),
        ("bonk/low@0", [], "Did you mean `bank`"),
        ("bank/lwo", [], "Did you mean `low`"),
        ("bank", [], "CURVE/UNIT"),
        ("jpeg/q5", ["--out", "x"], "measured again: leave --out out"),
        ("label/label", ["--checkpoint", "x"], "leave --checkpoint out"),
        ("bank/low@0", ["--out", "x", "--units", "y"], "--units and --out are different ways"),
        ("bank/low@0", ["--units", "nowhere"], "no unit is shipped at nowhere/bank/seed0/low; pass --units FOLDER"),
        ("jpeg/q5", ["--against", "jpeg"], "leave --submit, --against and --overwrite out"),
    ],
)
def test_what_cannot_be_verified_is_refused_with_what_to_pass(
    board: Board, point: str, arguments: list[str], message: str
) -> None:
    assert message in board.refusal(point, *arguments)


def test_options_of_verify_alone_are_refused_and_the_suite_and_network_must_be_named(board: Board) -> None:
    app = typer.Typer()
    app.command()(leaderboard)
    results = str(board.committed)
    for arguments, message in (
        ([results, "--suite", "x"], "belong to --verify"),
        ([results, "--verify", "jpeg/q5"], "needs the result files"),
        ([results, "--verify", "jpeg/q5", "--suite", str(board.suite)], "weights with --network"),
    ):
        assert message in str(CliRunner().invoke(app, arguments).exception)


def _retrained(board: Board, point: str, out: Path, runner: Any) -> verifying.Verified:
    from sc2_spic_plugin.leaderboard import collect_results

    options = verifying.VerifyOptions(str(board.suite), board.weights, out=out)
    return verifying.verify(collect_results([board.committed]).sources, point, options, runner)


@pytest.mark.usefixtures("no_waiting")
def test_a_point_is_trained_again_as_the_suite_says_and_nothing_else_is(board: Board, tmp_path: Path) -> None:
    runner = Trainer()
    done = _retrained(board, "bank/low@1", tmp_path / "again", runner)
    assert runner.started == [("bank/all-seed1", "train")] and done.check.holds, done.check.lines()
    accuracy, rate = done.check.lines()
    assert rate.endswith(", the same") and accuracy.endswith(", the same")  # here, where nothing else changed either
    assert accuracy.startswith("top-1 %") and "trained again with seed 1" in done.done
    assert "byte for byte" in done.done
    again = Trainer()
    assert _retrained(board, "bank/low@1", tmp_path / "again", again).check.holds and again.started == []


def test_a_training_that_is_stopped_can_be_gone_on_with(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verifying, "verify", stop)
    done = board.verify("bank/low@0", "--out", "x")
    assert done.exit_code == 130 and "the same command goes on" in done.stderr


@pytest.mark.usefixtures("no_waiting")
def test_a_single_seed_is_judged_by_the_images_and_another_rate_is_not_verified(board: Board, tmp_path: Path) -> None:
    (point,) = ResultFile.load(board.committed / "alone.json").points

    def trained(accuracy: float) -> FakeRunner:
        return FakeRunner({"alone/w0.001": lambda job: write_result(job, ["w0.001"], accuracy)})

    check = _retrained(board, "alone/w0.001", tmp_path / "same", trained(point.confidence_high)).check
    assert not check.holds and "NOT JUDGED: one seed" in check.lines()[1]
    assert "bootstrap" in check.lines()[0] and "retrained one within" in check.lines()[0]
    check = _retrained(board, "alone/w0.001", tmp_path / "far", trained(point.confidence_high + 1)).check
    assert not check.holds and "OUTSIDE" in check.lines()[0]


@pytest.mark.usefixtures("no_waiting")
def test_a_training_that_fails_or_that_the_point_is_from_proves_nothing(board: Board, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"`alone/w0\.001`: no data; what was printed is in .*log"):
        _retrained(board, "alone/w0.001", tmp_path / "a", FakeRunner({"alone/w0.001": lambda _job: "no data"}))
    with pytest.raises(ConfigError, match="holds other things, perhaps the training that the point is from"):
        _retrained(board, "alone/w0.001", board.out, FakeRunner())
