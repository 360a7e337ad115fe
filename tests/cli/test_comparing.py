"""`leaderboard`, `plot` and `report` on files and folders: what they write, refuse and leave alone."""

import csv
import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from sc2_spic_plugin.cli.comparing import leaderboard, plot, report
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import ResultFile

app = typer.Typer()
for function in (leaderboard, plot, report):
    app.command()(function)


@pytest.fixture
def results(repository: Path, tmp_path: Path) -> Path:
    """The demo's committed results, with one of them again under another protocol."""
    folder = tmp_path / "results"
    folder.mkdir()
    for path in (repository / "benchmarks" / "demo" / "results").glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    document = json.loads((folder / "jpeg.json").read_text())
    document["meta"]["protocol"] = "other"
    (folder / "other.json").write_text(json.dumps(document))
    return folder


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_leaderboard_writes_four_files_and_keeps_protocols_apart(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _run("leaderboard", results, "--out", out, "--against", "spic_l1", "--against", "jpeg")
    assert done.exit_code == 0 and done.stdout.split() == [
        str(out / name) for name in ("leaderboard.md", "leaderboard.csv", "comparison.md", "comparison.json")
    ]
    text = (out / "leaderboard.md").read_text()
    assert text.count("## ") == 2 and "protocol other" in text and "protocol synthetic-64" in text
    rows = list(csv.DictReader((out / "leaderboard.csv").open()))
    assert {row["protocol"] for row in rows} == {"other", "synthetic-64"}
    document = json.loads((out / "comparison.json").read_text())
    (group,) = (each for each in document["groups"] if each["protocol"] == "synthetic-64")
    assert {each["anchor"]["method"] for each in group["deltas"]} == {"spic_l1", "jpeg"}
    again = _run("leaderboard", results, out, "--out", out, "--against", "spic_l1", "--against", "jpeg")
    assert again.exit_code == 0 and not again.stderr  # its own comparison.json is no result
    (out / "notes.json").write_text("{}")
    assert f"left out: {out / 'notes.json'}\n" in _run("leaderboard", out, results).stderr


def test_nothing_is_replaced_unasked(results: Path, tmp_path: Path) -> None:
    for name, file in (("leaderboard", ""), ("plot", "p.svg"), ("report", "r.html")):
        target = tmp_path / name / file
        written = target if file else target / "comparison.md"
        written.parent.mkdir()
        written.write_text("mine")
        refused = _run(name, results / "jpeg.json", "--out", target)
        assert isinstance(refused.exception, ConfigError) and "pass --overwrite" in str(refused.exception)
        assert written.read_text() == "mine" and len(list(written.parent.iterdir())) == 1
        assert _run(name, results / "jpeg.json", "--out", target, "--overwrite").exit_code == 0
        assert written.read_text() != "mine"


def test_without_a_folder_the_tables_are_printed(results: Path) -> None:
    printed = _run("leaderboard", results / "jpeg.json", results / "webp.json").stdout
    assert printed.count("## ResNet on synthetic-64") == 2 and "BD-rate" in printed


def test_plots_of_several_protocols_are_several_files(results: Path, tmp_path: Path) -> None:
    done = _run("plot", results / "jpeg.json", results / "other.json", "--out", tmp_path / "p.svg")
    assert done.stdout.split() == [str(tmp_path / "p.svg"), str(tmp_path / "p-2.svg")]
    one = _run("plot", results, "--out", tmp_path / "q.svg", "--protocol", "other")
    assert one.stdout.split() == [str(tmp_path / "q.svg")]
    refused = _run("plot", results, "--out", tmp_path / "r.svg", "--protocol", "othr")
    assert "Did you mean `other`" in str(refused.exception)


def test_the_report_is_one_file_with_a_section_for_each_protocol(results: Path, tmp_path: Path) -> None:
    assert _run("report", results, "--out", tmp_path / "r.html", "--title", "Mine & yours").exit_code == 0
    text = (tmp_path / "r.html").read_text()
    assert text.count('<section class="group"') == 2 and "<title>Mine &amp; yours</title>" in text
    assert "written as .html" in str(_run("report", results, "--out", tmp_path / "r.pdf").exception)


def test_a_spoilt_file_is_named_and_nothing_is_written(results: Path, tmp_path: Path) -> None:
    (results / "webp.json").write_text((results / "webp.json").read_text().replace('"bpp": [', '"bpp": [NaN, '))
    refused = _run("leaderboard", results, "--out", tmp_path / "out")
    assert isinstance(refused.exception, DataError) and "webp.json" in str(refused.exception)
    assert not (tmp_path / "out").exists()


def test_an_unknown_anchor_is_refused(results: Path) -> None:
    assert "Did you mean `jpeg`" in str(_run("leaderboard", results, "--against", "jpg").exception)


def test_the_plot_tool_of_compressai_opens_every_result_file(results: Path, tmp_path: Path, monkeypatch) -> None:
    import matplotlib

    matplotlib.use("Agg")
    tool = pytest.importorskip("compressai.utils.plot.__main__")
    files = sorted(results.glob("*.json"))
    drawn = []
    monkeypatch.setattr(tool, "matplotlib_plt", lambda scatters, *rest, **more: drawn.extend(scatters))
    tool.main(["-f", *map(str, files), "-m", "top1", "-o", str(tmp_path / "p.png")])
    for file, scatter in zip(files, drawn, strict=True):
        points = ResultFile.load(file).points
        assert scatter["xs"] == [point.bpp for point in points] and scatter["ys"] == [point.top1 for point in points]
    monkeypatch.undo()
    tool.main(["-f", *map(str, files), "-m", "top1", "-o", str(tmp_path / "p.png")])
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_the_commands_import_neither_hosts_nor_drawing_before_they_run() -> None:
    import ast

    import sc2_spic_plugin.cli.comparing as module

    body = ast.parse(Path(module.__file__).read_text()).body
    names = {node.module for node in body if isinstance(node, ast.ImportFrom) and node.level}
    assert names == {"errors"} and module.__name__ in sys.modules
