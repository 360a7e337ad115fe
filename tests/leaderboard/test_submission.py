"""Judging outside results: a complete one passes, a spoilt one is told everything that is missing, at once."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from sc2_spic_plugin.cli.comparing import leaderboard
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import load_protocol
from sc2_spic_plugin.leaderboard.results.collect import collect_results
from sc2_spic_plugin.leaderboard.submission import check_submission
from sc2_spic_plugin.leaderboard.submission.layout import layout_items

CONFIG, CHECKPOINT = b"models: {}\n", b"weights"
IMAGES = [("a.png", 10, True), ("b.png", 20, False)]
app = typer.Typer()
app.command()(leaderboard)


@app.command()
def other() -> None:
    """A second command, so that the first keeps its name."""


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["leaderboard", *(str(argument) for argument in arguments)])


def _document() -> dict[str, Any]:
    protocol = load_protocol("synthetic-64")
    points = {
        "bpp": [15 * 8 / 64**2], "top1": [50.0], "confidence_low": [0.0], "confidence_high": [100.0],
        "code_bytes": [14.0], "payload_bytes": [15.0], "harness_kilobytes": [0.1], "encoder_kilobytes": [100.0],
        "encoder_macs": [1e6], "encode_ms": [1.0], "decode_ms": [2.0], "unit": ["u0"], "seed": [0],
        "config_sha256": [hashlib.sha256(CONFIG).hexdigest()],
        "checkpoint_sha256": [hashlib.sha256(CHECKPOINT).hexdigest()],
    }  # fmt: skip
    meta = {
        "schema_version": 1, "task": "classification", "dataset": "synthetic-64", "protocol": protocol.name,
        "protocol_sha256": protocol.sha256, "network": "ResNet", "network_sha256": "ab" * 32, "cut": "layer2",
        "method": "spic", "supervision": "supervised", "samples": 2, "code_version": "0.1.0+gabc",
        "versions": {"torch": "2"}, "environment": {"python": "3.12"}, "date": "2025-01-01T00:00:00+00:00",
    }  # fmt: skip
    return {"name": "mine", "description": "for a test", "results": points, "meta": meta}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete submission."""
    (tmp_path / "u0").mkdir()
    (tmp_path / "u0" / "config.yaml").write_bytes(CONFIG)
    (tmp_path / "u0" / "checkpoint.pt").write_bytes(CHECKPOINT)
    _write(tmp_path, _document())
    (tmp_path / "mine.u0.csv").write_text(
        "image,payload_bytes,correct\n" + "".join(f"{image},{size},{int(right)}\n" for image, size, right in IMAGES)
    )
    return tmp_path


def _write(folder: Path, document: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps(document))
    return path


def _changed(**values: Any) -> dict[str, Any]:
    """A document with values of results or meta replaced; ... removes the entry."""
    document = _document()
    for key, value in values.items():
        part = document["results"] if key in document["results"] else document["meta"]
        if value is ...:
            del part[key]
        else:
            part[key] = value
    return document


def test_a_complete_submission_lacks_nothing(folder: Path) -> None:
    submission = check_submission(folder / "mine.json")
    assert submission.items == [] and submission.is_complete
    assert submission.render() == (
        f"{folder / 'mine.json'}: complete (1 point of spic, ResNet on synthetic-64, protocol synthetic-64)"
    )
    assert _run("--submit", folder / "mine.json").exit_code == 0


REQUIRED: list[tuple[dict[str, Any], str]] = [
    ({"protocol": "mine-64"}, "`mine-64` is none of the shipped ones"),
    ({"protocol_sha256": ...}, "protocol_sha256 is missing"),
    ({"protocol_sha256": "cd" * 32}, "other values than the shipped"),
    ({"protocol": "synthetic-scenes"}, "is for segmentation"),
    ({"network_sha256": None}, "network_sha256 is missing"),
    ({"samples": None}, "meta.samples is missing"),
    ({"samples": 3}, "other numbers of images: u0 (2)"),
    ({"code_version": "0.1.0+gabc.dirty"}, "commit your changes"),
    ({"versions": {}}, "meta.versions is empty"),
    ({"environment": ...}, "meta.environment is empty"),
    ({"date": "yesterday"}, "meta.date is 'yesterday'"),
    ({"bits": "estimated"}, "meta.bits is estimated"),
    ({"cut": ...}, "meta.cut is missing"),
    ({"payload_bytes": [None]}, "payload_bytes (what crosses the link, bytes per image) is missing at point u0"),
    ({"code_bytes": ...}, "code_bytes (the entropy-coded symbols alone) is missing"),
    ({"confidence_low": ..., "confidence_high": ...}, "confidence_low (the 95 % interval) is missing"),
    ({"config_sha256": ...}, "config_sha256 (the digest of the config) is missing"),
    ({"checkpoint_sha256": ...}, "checkpoint_sha256 is missing at point u0"),
    ({"seed": ...}, "seed (of the training) is missing"),
    ({"bpp": [0.03]}, "bpp and payload_bytes contradict each other"),
    ({"unit": ["u1"]}, "no per-image table beside the file for point u1"),
    ({"top1": [51.0]}, "a per-image table contradicts its point"),
    ({"config_sha256": ["ab" * 32]}, "no config with the digest of point u0"),
    ({"supervision": "yes, labels"}, "meta.supervision is 'yes, labels'"),
    ({"network_sha256": "abc"}, "meta.network_sha256 is no SHA-256 digest"),
    ({"code_bytes": [15.5]}, "code_bytes is more than payload_bytes"),
    ({"confidence_low": [70.0], "confidence_high": [70.0]}, "do not follow from the tables at point u0"),
    ({"method": "entropic_student", "checkpoint_sha256": ...}, "checkpoint_sha256 is missing at point u0"),
]


@pytest.mark.parametrize(("change", "words"), REQUIRED, ids=[words[:40] for _, words in REQUIRED])
def test_each_thing_that_is_missing_is_named_with_what_to_do(folder: Path, change: dict[str, Any], words: str) -> None:
    submission = check_submission(_write(folder, _changed(**change)))
    (item,) = (item for item in submission.items if words in f"{item.what} {item.to_do}")
    assert item.is_required and item.to_do and not submission.is_complete
    others = [each for each in submission.items if each.is_required and each is not item]
    assert not others, "one change, one finding"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bypassed": True}, "data pass the cut uncounted"),
        ({"method": "new_method"}, "no colour is fixed"),
        ({"supervision": None}, "meta.supervision is missing"),
        ({"encode_ms": [None]}, "encode_ms"),
        ({"encoder_macs": ...}, "encoder_macs"),
        ({"checkpoint_sha256": ["ab" * 32]}, "no checkpoint with the digest"),
    ],
)
def test_advice_keeps_nobody_out(folder: Path, change: dict[str, Any], words: str) -> None:
    submission = check_submission(_write(folder, _changed(**change)))
    (item,) = submission.items
    assert words in item.what and not item.is_required and submission.is_complete
    assert _run("--submit", folder / "mine.json").exit_code == 0


def test_everything_that_is_missing_is_told_at_once(folder: Path) -> None:
    together = ["network_sha256", "samples", "versions", "payload_bytes", "confidence_low", "config_sha256", "seed"]
    changes = {"network_sha256": None, "samples": None, "versions": {}, "payload_bytes": [None], "seed": [None]}
    document = _changed(**changes, confidence_low=..., confidence_high=..., config_sha256=...)
    judged = _run("--submit", _write(folder, document))
    assert judged.exit_code == 1
    assert all(name in judged.stdout for name in together) and f"{len(together)} missing" in judged.stdout
    assert judged.stdout.count("to do: ") == len(together)


def test_a_layout_is_judged_entry_by_entry(folder: Path) -> None:
    document = _changed(
        task=..., dataset="", versions=..., date=..., network=3, top1=[float("nan")], seed=["x"], bpp=[-1]
    )
    document["meta"]["schema_version"], document["meta"]["protocoll"] = 7, "x"
    document["results"]["encode_ms"] = [1.0, 2.0]
    document["results"]["note"] = "text"
    del document["name"]
    items = check_submission(_write(folder, document)).items
    found = [item.what for item in items]
    for words in (
        *("`name` is missing", "meta.task is missing", "meta.dataset cannot", "meta.versions is missing"),
        *("meta.date is missing", "meta.network cannot", "schema_version is 7", "unknown key meta.protocoll"),
        *("results.top1[0] cannot", "results.seed[0] cannot", "results.bpp[0] cannot"),
        *("results.encode_ms has 2 entries", "results.note is no list"),
    ):
        assert sum(words in what for what in found) == 1, words
    assert len(found) == 13 and all(item.is_required and item.to_do for item in items)


@pytest.mark.parametrize("key", ["task", "dataset", "protocol", "network", "method", "samples", "code_version", "date"])
def test_every_required_entry_of_the_provenance_is_asked_for(key: str) -> None:
    (item,) = layout_items(_changed(**{key: ...}))
    assert item.what == f"meta.{key} is missing" and item.to_do


@pytest.mark.parametrize(
    ("text", "words"),
    [("[1]", "no JSON object"), ("{", "no JSON"), ('{"meta": {}, "results": {}}', "results has no point")],
)
def test_what_is_no_result_file_is_said_to_be_none(folder: Path, text: str, words: str) -> None:
    (folder / "mine.json").write_text(text)
    submission = check_submission(folder / "mine.json")
    assert submission.result is None and any(words in item.what for item in submission.items)
    with pytest.raises(DataError, match="cannot be read"):
        check_submission(folder / "absent.json")


def test_points_that_contradict_each_other_are_told(folder: Path) -> None:
    document = _document()
    document["results"] = {name: values * 2 for name, values in document["results"].items()}
    (item,) = check_submission(_write(folder, document)).items
    assert "is there twice" in item.to_do


def test_numbers_of_another_harness_are_sent_to_be_measured_or_converted(folder: Path) -> None:
    (folder / "mine.json").write_text('{"results": {"bpp": [1.0], "psnr-rgb": [30.0]}}')
    (item,) = check_submission(folder / "mine.json").items
    assert "CompressAI" in item.what and "sc2-spic convert" in item.to_do


def test_results_that_are_there_are_compared_with_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    there = tmp_path_factory.mktemp("there")
    _write(there, _document())
    board = collect_results([there]).sources
    assert check_submission(folder / "mine.json", board).items == []
    _write(folder, _changed(top1=[51.0]))
    assert any(
        "contradicts a result that is there" in item.what
        for item in check_submission(folder / "mine.json", board).items
    )
    (there / "mine.u0.csv").write_text("image,payload_bytes,correct\na.png,10,1\nc.png,20,0\n")
    _write(folder, _document())
    (item,) = check_submission(folder / "mine.json", board).items
    assert "reports other images than" in item.what and "1 of its own, 1 not" in item.what and item.is_required
    (there / "mine.u0.csv").unlink()
    _write(folder, _changed(network_sha256="cd" * 32))
    (item,) = check_submission(folder / "mine.json", board).items
    assert "network_sha256" in item.what and not item.is_required
    assert check_submission(there / "mine.json", board).result is not None
    judged = _run(there, "--submit", folder / "mine.json")
    assert judged.exit_code == 0 and "shares no table" in judged.stdout


def test_an_image_is_reported_once(folder: Path) -> None:
    (folder / "mine.u0.csv").write_text("image,payload_bytes,correct\na.png,10,1\na.png,20,0\n")
    (item,) = check_submission(folder / "mine.json").items
    assert "has `a.png` more than once" in item.to_do and item.is_required


def test_a_suites_points_folder_holds_the_evidence_of_its_results(folder: Path) -> None:
    (folder / "results").mkdir()
    (folder / "u0").rename(folder / "points")
    for name in ("mine.json", "mine.u0.csv"):
        (folder / name).rename(folder / "results" / name)
    assert check_submission(folder / "results" / "mine.json").items == []


def test_the_command_needs_results_or_a_submission() -> None:
    refused = _run()
    assert isinstance(refused.exception, ConfigError) and "name result files" in str(refused.exception)
    assert "writes nothing" in str(_run("--submit", "x.json", "--out", "y").exception)


def test_the_example_of_the_entry_route_has_the_layout(repository: Path) -> None:
    page = (repository / "benchmarks" / "SUBMITTING.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    document = json.loads(block)
    assert layout_items(document) == []
    pixels = load_protocol(document["meta"]["protocol"]).pixels
    for bpp, payload in zip(document["results"]["bpp"], document["results"]["payload_bytes"], strict=True):
        assert payload * 8 / pixels == pytest.approx(bpp)


def test_every_point_is_of_the_same_images(folder: Path) -> None:
    document = _document()
    document["results"] = {name: values * 2 for name, values in document["results"].items()}
    document["results"]["unit"] = ["u0", "u1"]
    _write(folder, document)
    (folder / "mine.u1.csv").write_text((folder / "mine.u0.csv").read_text().replace("b.png", "z.png"))
    (item,) = check_submission(folder / "mine.json").items
    assert item.is_required and "of different images: those of point u1 are not the first one's" in item.what


def test_fewer_than_no_bytes_are_refused(folder: Path) -> None:
    (folder / "mine.u0.csv").write_text("image,payload_bytes,correct\na.png,-10,1\nb.png,40,0\n")
    (item,) = check_submission(folder / "mine.json").items
    assert "`a.png` has fewer than 0 payload bytes" in item.to_do and item.is_required


def test_an_original_network_of_another_accuracy_contradicts_the_one_that_is_there(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = tmp_path_factory.mktemp("there")
    _write(there, _changed(method="original", unit=["network"], top1=[87.5]))
    _write(folder, _changed(method="original"))
    items = check_submission(folder / "mine.json", collect_results([there]).sources).items
    assert any("the original network reaches 50.0 %" in item.what and "87.5 %" in item.what for item in items)


@pytest.mark.parametrize(
    "change",
    [
        {"code_version": 5},
        {"network_sha256": ["a"]},
        {"cut": ["layer4"]},
        {"supervision": 7},
        {"bpp": [10**400]},
        {"versions": "torch"},
        {"environment": [1]},
        {"samples": -1},
    ],
    ids=str,
)
def test_values_of_another_kind_are_findings_and_no_crash(folder: Path, change: dict[str, Any]) -> None:
    submission = check_submission(_write(folder, _changed(**change)))
    (name,) = change
    assert not submission.is_complete and any(name in item.what for item in submission.items)
