"""Published curves: over which results they are drawn, which units they are paired with, and the page made of them."""

import csv
import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from sc2_spic_plugin.cli.comparing import plot, report
from sc2_spic_plugin.cli.publishing import published
from sc2_spic_plugin.configs import config_root
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.importers import find_published_units, split_point
from sc2_spic_plugin.leaderboard import Group, Point, PublishedCurve, ResultFile, group_of, load_protocol
from sc2_spic_plugin.leaderboard.published.figure import curves_by_group
from sc2_spic_plugin.leaderboard.published.files import load_figure, published_folder, published_names
from sc2_spic_plugin.leaderboard.published.oddities import drawn_under_another_name, shared_points
from sc2_spic_plugin.leaderboard.published.page import measured_units, render_published
from sc2_spic_plugin.leaderboard.published.pairs import pair_with_units
from sc2_spic_plugin.leaderboard.published.unit import UnitFacts, facts_of, load_facts, render_facts
from sc2_spic_plugin.leaderboard.results.collect import Source
from sc2_spic_plugin.leaderboard.styles import METHOD_STYLES

IMAGENET = {
    "protocol": "imagenet-224",
    "protocol_sha256": load_protocol("imagenet-224").sha256,
    "dataset": "ImageNet (ILSVRC 2012)",
    "network": "resnet50",
}
SUPERVISED = "spic-classification-supervised"
FIGURES = [load_figure(name) for name in published_names()]
app = typer.Typer()
for command in (plot, report, published):
    app.command()(command)


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _units(rates: list[float], task: str = "classification", split: str = "S1") -> list[UnitFacts]:
    return [
        UnitFacts(task, split, index, 1.0, 2, 8, rate, rate, rate * 224**2 / 8, 1.0, ())
        for index, rate in enumerate(rates)
    ]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_shipped_figure_says_what_it_is_of(figure: Any) -> None:
    assert load_protocol(figure.protocol).task == figure.task and "CVPR 2023" in figure.source
    assert figure.pixels == math.prod(split_point(figure.task, "S1").image_size)
    for drawn in figure.curves:
        assert drawn.curve.method in METHOD_STYLES and drawn.curve.source == figure.source
        assert (drawn.split is None) == (drawn.curve.method != "spic_published")
        if drawn.split is not None:
            assert drawn.curve.bypassed == split_point(figure.task, drawn.split).bypassed
            assert drawn.markers >= len(drawn.curve.bpp)


def test_the_files_hold_the_digitised_points(repository: Path) -> None:
    source = repository.parent / "shared" / "published" / "curves.csv"
    if not source.is_file():
        pytest.skip(f"the digitised figures are not at {source}")
    with source.open() as file:
        rows = list(csv.DictReader(file))
    drawn = sorted(
        (figure.source.split(" of the ")[0].split()[-1], rate, round(accuracy, 6))
        for figure in FIGURES
        for each in figure.curves
        for rate, accuracy in zip(each.curve.bpp, each.curve.accuracy, strict=True)
    )
    percent = {"classification": 1, "segmentation": 100}
    assert drawn == sorted(
        (row["source_figure"], float(row["bpp"]), round(float(row["metric"]) * percent[row["task"]], 6)) for row in rows
    )


def test_curves_belong_over_the_results_of_their_own_configs_and_of_no_others() -> None:
    seen = set()
    for path in config_root().rglob("*.yaml"):
        config = load_plain(path.read_text())
        about = config.get("result") or {}
        if "protocol" not in about:
            continue
        model = config["models"].get("teacher_model") or config["models"]["model"]
        model = next((model[key] for key in ("classification_model", "segmentation_model") if key in model), model)
        network = (model.get("kwargs") or {}).get("network", model)["key"]
        protocol = load_protocol(about["protocol"])
        group = Group(protocol.task, protocol.name, protocol.sha256, about["dataset"], network, "ab")
        allowed = {figure.name for figure in FIGURES if figure.why_not_over(group) is None}
        expected = {"imagenet-224": "classification", "coco21-513": "segmentation"}.get(protocol.name, "none")
        assert allowed == {name for name in published_names() if f"-{expected}-" in name}, path
        seen |= allowed
    assert seen == set(published_names())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": "imagenette-160"}, "protocol imagenette-160, not imagenet-224"),
        ({"protocol_sha256": "cd" * 32}, "other values than the shipped one"),
        ({"network": "resnet18"}, "network resnet18, not resnet50"),
        ({"dataset": "Imagenette"}, "data set Imagenette, not ImageNet"),
        ({"task": "segmentation"}, "not imagenet-224"),
    ],
)
def test_a_figure_is_refused_over_anything_else(change: dict[str, str], reason: str) -> None:
    group = Group(**{"task": "classification", "network_sha256": "ab" * 32, **IMAGENET, **change})
    with pytest.raises(ConfigError, match=reason):
        curves_by_group([load_figure(SUPERVISED)], [group])


def test_one_group_that_fits_is_enough_and_gets_the_curves_alone(make_result: Callable[..., ResultFile]) -> None:
    fits, other = group_of(make_result(**IMAGENET)), group_of(make_result())
    curves = curves_by_group([load_figure(SUPERVISED)], [other, fits])
    assert list(curves) == [fits] and {curve.name for curve in curves[fits]} > {"SPIC S1", "SPIC S2", "SPIC S3", "JPEG"}
    assert curves_by_group([], [other, fits]) == {}


def test_plot_and_report_draw_published_curves_only_where_they_belong(
    make_result: Callable[..., ResultFile], tmp_path: Path
) -> None:
    mine, demo = tmp_path / "mine.json", tmp_path / "demo.json"
    make_result("jpeg", [(4000.0, 66.0), (9000.0, 73.0)], **IMAGENET).save(mine)
    make_result("jpeg").save(demo)
    for number, names in enumerate(([], [SUPERVISED])):
        options = [value for name in names for value in ("--published", name)]
        assert _run("plot", mine, "--out", tmp_path / f"{number}.png", *options).exit_code == 0
        assert _run("report", mine, demo, "--out", tmp_path / f"{number}.html", *options).exit_code == 0
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()
    pages = [(tmp_path / f"{number}.html").read_text() for number in range(2)]
    assert [page.count("SPIC S1 (as published)") for page in pages] == [0, 1]
    for name in ("plot", "report"):
        out = tmp_path / f"no.{'png' if name == 'plot' else 'html'}"
        refused = _run(name, demo, "--out", out, "--published", SUPERVISED)
        assert isinstance(refused.exception, ConfigError) and "no result does" in str(refused.exception)
        assert not out.exists()
    near = _run("plot", mine, "--out", tmp_path / "x.png", "--published", "spic-classification")
    assert "Did you mean `spic-classification-supervised`" in str(near.exception)


def test_a_figure_of_ones_own_is_checked_entry_by_entry(tmp_path: Path) -> None:
    content = yaml.safe_load((published_folder() / f"{SUPERVISED}.yaml").read_text())
    path = tmp_path / "own.yaml"

    def load(**changes: Any) -> Any:
        path.write_text(yaml.safe_dump({**content, **changes}))
        return load_figure(path)

    assert load() == load_figure(path) and load().curves == load_figure(SUPERVISED).curves
    curve = {"name": "mine", "points": [[0.1, 70.0]]}
    assert load(curves=[curve]).curves[0].curve.label == "mine (as published)"
    for changes, kind, message in (
        ({"protocl": "x"}, ConfigError, "Did you mean `protocol`"),
        ({"task": "detection"}, ConfigError, "unknown task"),
        ({"networks": []}, ConfigError, "`networks` must be a list"),
        ({"curves": [{"name": "x"}]}, ConfigError, "`points` missing"),
        ({"curves": [{**curve, "points": [[0.1]]}]}, ConfigError, "bits per image pixel, percent"),
        ({"curves": [{**curve, "points": [[0.1, "high"]]}]}, ConfigError, "no number"),
        ({"curves": [{**curve, "points": [[0.1, 0.7]]}]}, DataError, "multiply fractions by 100"),
        ({"curves": [{**curve, "points": [[0.0, 70.0]]}]}, DataError, "is no point"),
    ):
        with pytest.raises(kind, match=message):
            load(**changes)
    with pytest.raises(ConfigError, match="no file of published curves"):
        load_figure(tmp_path / "absent.yaml")


RATES = st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=4, unique=True)


@given(RATES, RATES)
@settings(max_examples=30)
def test_pairs_are_the_nearest_rates_in_order_each_used_once(expected: list[float], drawn: list[float]) -> None:
    units = _units(sorted(expected))
    curve = PublishedCurve("x", "y", drawn, [50.0 + index for index in range(len(drawn))])
    pairs = pair_with_units(curve, units, 224**2)
    count = min(len(units), len(drawn))
    assert len(pairs) == count
    rates = [pairs[unit.name].bpp for unit in units if unit.name in pairs]
    assert rates == sorted(rates) and len(set(rates)) == count
    cost = sum(math.log1p(pair.gap) ** 2 for pair in pairs.values())
    least = min(
        sum(math.log(rate / unit.huffman_bpp) ** 2 for rate, unit in zip(points, chosen, strict=True))
        for points in itertools.permutations(curve.bpp, count)
        for chosen in itertools.combinations(units, count)
    )
    assert cost == pytest.approx(least, abs=1e-9)


def test_only_one_curve_is_drawn_under_another_name() -> None:
    facts = load_facts()
    named = {
        (figure.task, drawn.split): drawn_under_another_name(figure, drawn, facts)
        for figure in FIGURES
        for drawn in figure.curves
        if drawn.split
    }
    assert len(named) == 10 and {key: other for key, other in named.items() if other} == {
        ("classification", "S2"): "US1"
    }
    curves = {drawn.curve.name: drawn for figure in FIGURES[:2] for drawn in figure.curves}
    assert shared_points(curves["SPIC S2"], curves["SPIC US1"]) == (6, 4)
    assert shared_points(curves["SPIC S1"], curves["SPIC US2"]) == (0, 0)


def test_the_committed_page_is_what_figures_and_units_give(repository: Path) -> None:
    page = repository / "benchmarks" / "published" / "README.md"
    assert page.read_text() == render_published(FIGURES, load_facts()), "run `sc2-spic published --out` again"


def test_the_facts_of_the_units_come_back_from_their_file(tmp_path: Path) -> None:
    facts = load_facts()
    assert len(facts) == 61 and all(0 < unit.ideal_bpp <= unit.huffman_bpp for unit in facts)
    (tmp_path / "units.yaml").write_text(render_facts(facts))
    assert load_facts(tmp_path / "units.yaml") == facts
    assert (tmp_path / "units.yaml").read_bytes() == (published_folder() / "units.yaml").read_bytes()
    for text in ("[", "x: 1", "a/S1/0: {step: 1}", "a: {}"):
        (tmp_path / "units.yaml").write_text(text)
        with pytest.raises(ConfigError, match="--release CLONE"):
            load_facts(tmp_path / "units.yaml")


def test_the_facts_are_those_of_the_released_files(reference: Path) -> None:
    known = {unit.name: unit for unit in load_facts()}
    found = facts_of(find_published_units(reference, "skip"))
    for unit in found:
        told = tuple(oddity for oddity in known[unit.name].oddities if not oddity.startswith("duplicate"))
        assert {**vars(known[unit.name]), "oddities": told} == vars(unit)
    assert len(found) == 10


def test_the_facts_are_those_of_a_whole_clone() -> None:
    clone = os.environ.get("SPIC_REPO")
    if not clone:
        pytest.skip("set SPIC_REPO to a clone of the released repository")
    assert facts_of(find_published_units(clone)) == load_facts()


def _imported(make_result: Callable[..., ResultFile], points: dict[str, Point], **meta: Any) -> Source:
    made = make_result("spic_published", [(1.0, 50.0)], **{**IMAGENET, "cut": "layer4.2", **meta})
    return Source(ResultFile(made.name, made.description, list(points.values()), made.meta))


def test_measured_units_stand_beside_their_published_points(make_result: Callable[..., ResultFile]) -> None:
    point = Point(unit="S1-0", bpp=0.08, top1=74.5, extra={"huffman_bytes": 500.0})
    other = Point(unit="S1-1", bpp=0.07, top1=74.1, extra={"huffman_bytes": 400.0, "huffman_bytes_unknown": 3})
    source = _imported(make_result, {"a": point, "b": other})
    page = render_published(FIGURES, load_facts(), [source])
    (row,) = (line for line in page.splitlines() if line.startswith("| S1-0 ") and " 128 " in line)
    assert row.endswith(f"| {500 * 8 / 224**2:.4f} | 0.0800 | 74.50 |")
    (row,) = (line for line in page.splitlines() if line.startswith("| S1-1 |"))
    assert row.endswith("| \N{EN DASH} | 0.0700 | 74.10 |"), "a coder without a code for every image has no rate"
    assert "Measured: 2 of 61 units" in page and "Measured" not in render_published(FIGURES, load_facts())
    again = _imported(make_result, {"a": Point(unit="S1-0", bpp=0.081, top1=74.5)})
    with pytest.raises(DataError, match="classification/S1/0 was measured twice"):
        measured_units(FIGURES, [source, again])


def test_units_measured_otherwise_are_not_set_beside_published_points(
    make_result: Callable[..., ResultFile], tmp_path: Path
) -> None:
    for name, change in (("protocol", {"protocol": "imagenette-160"}), ("method", {"method": "spic"})):
        point = Point(unit="S1-0", bpp=0.08, top1=74.5)
        meta = {**IMAGENET, **change}
        method = meta.pop("method", "spic_published")
        made = make_result(method, [(1.0, 50.0)], **meta)
        path = ResultFile("x", "", [point], made.meta).save(tmp_path / f"{name}.json")
        refused = _run("published", path)
        assert isinstance(refused.exception, DataError) and "sc2-spic import" in str(refused.exception)


def test_the_command_prints_the_page_or_writes_it_and_replaces_nothing_unasked(tmp_path: Path) -> None:
    page = (published_folder() / "README.md").read_text()
    assert _run("published").stdout == page
    assert _run("published", "--out", tmp_path).stdout.split() == [str(tmp_path / "README.md")]
    assert (tmp_path / "README.md").read_text() == page and _run("published", "--out", tmp_path).exit_code == 0
    (tmp_path / "README.md").write_text("mine")
    assert "pass --overwrite" in str(_run("published", "--out", tmp_path).exception)
    assert (tmp_path / "README.md").read_text() == "mine"
