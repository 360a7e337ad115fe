"""Plots: files that are written whole and alike, fixed styles, and what must not share a picture."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import (
    MethodStyle,
    PublishedCurve,
    ResultFile,
    Source,
    method_style,
    plot_rate_accuracy,
)
from sc2_spic_plugin.leaderboard.drawing.looks import curve_dashes
from sc2_spic_plugin.leaderboard.results.curve import build_curves
from sc2_spic_plugin.leaderboard.styles import METHOD_STYLES


def test_png_and_svg_show_every_method_and_are_the_same_bytes_each_time(tmp_path: Path, board) -> None:
    first, second = (plot_rate_accuracy(board, tmp_path / name / "p.png") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    image = Image.open(first).convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 24)}
    for result in board:
        colour = method_style(result.meta.method).colour
        assert tuple(int(colour[index : index + 2], 16) for index in (1, 3, 5)) in colours
    svgs = [plot_rate_accuracy(board, tmp_path / name / "p.svg").read_bytes() for name in "ab"]
    assert svgs[0] == svgs[1] and svgs[0].startswith(b"<?xml")


def test_bypassed_segmentation_points_without_sizes_or_intervals_are_drawn(tmp_path: Path, make_result) -> None:
    result = make_result(task="classification", bypassed=True, supervision="unsupervised")
    bare = [
        dataclasses.replace(p, payload_bytes=None, confidence_low=None, confidence_high=None) for p in result.points
    ]
    bare = [dataclasses.replace(p, miou=p.top1, top1=None) for p in bare]
    meta = dataclasses.replace(result.meta, task="segmentation")
    path = plot_rate_accuracy([dataclasses.replace(result, points=bare, meta=meta)], tmp_path / "p.svg", title="t")
    assert b"</svg>" in path.read_bytes()


def _drawn(path: Path, results: list[ResultFile], monkeypatch, **options: object) -> Any:
    """Draws and returns the axes behind the file."""
    from matplotlib.figure import Figure

    kept: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *rest, **more: (kept.append(self), save(self, *rest, **more)))
    plot_rate_accuracy(results, path, **options)
    return kept[0].axes[0]


def _ladder(make_result, cuts: tuple[str, ...], methods: int) -> list[ResultFile]:
    rates = [(20, 80), (40, 84), (60, 85)]
    results = [make_result(f"method{number}", cut=cut, rates=rates) for cut in cuts for number in range(methods)]
    return [*results, make_result("jpeg", rates=[(900, 55), (2000, 86)])]


def test_the_line_joins_the_front_and_a_point_beside_it_is_drawn_without_one(
    tmp_path, make_result, monkeypatch
) -> None:
    axes = _drawn(tmp_path / "p.svg", [make_result(rates=[(20, 80), (40, 79), (60, 85)])], monkeypatch)
    joined = next(line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()))
    beside = next(line for line in axes.lines if line.get_linestyle() == "None" and line.get_alpha())
    assert list(joined.get_ydata()) == [80, 85] and list(beside.get_ydata()) == [79]


def test_seeds_are_one_point_at_their_mean_with_bars_from_the_least_to_the_greatest(
    tmp_path, make_result, monkeypatch
) -> None:
    result = make_result(rates=[(16.0, 80.0)])
    other = dataclasses.replace(result.points[0], seed=1, top1=82.0, bpp=0.015)
    axes = _drawn(tmp_path / "p.svg", [dataclasses.replace(result, points=[*result.points, other])], monkeypatch)
    (container,) = axes.containers
    line, _, bars = container.lines
    assert list(line.get_ydata()) == [81.0] and list(line.get_xdata()) == pytest.approx([0.01])
    across, upright = (bar.get_segments()[0] for bar in bars)
    assert list(across[:, 0]) == pytest.approx([0.005, 0.015]) and list(upright[:, 1]) == pytest.approx([80.0, 82.0])


def test_published_curves_are_open_dashed_and_last_in_the_legend(tmp_path, make_result, monkeypatch) -> None:
    curve = PublishedCurve("SPIC S1", "the paper, figure 6", [0.3, 0.1], [80.0, 75.0], method="spic_published")
    axes = _drawn(tmp_path / "p.svg", [make_result()], monkeypatch, published=[curve])
    line = next(line for line in axes.lines if list(line.get_ydata()) == [75.0, 80.0])
    assert line.get_markerfacecolor() == "white" and line.is_dashed() and line.get_color() == "#b30059"
    assert axes.figure.legends[0].get_texts()[-1].get_text() == "SPIC S1 (as published)"


def test_many_curves_of_several_splits_have_a_panel_each_with_the_codecs_in_all_of_them(
    tmp_path, make_result, monkeypatch
) -> None:
    many = _ladder(make_result, ("layer4.2", "layer3.4"), methods=6)
    first, second = _drawn(tmp_path / "p.svg", many, monkeypatch).figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["split: layer3.4", "split: layer4.2"]
    assert len(first.containers) == len(second.containers) == 7
    (legend,) = first.figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == len(set(labels)) == 7 and labels[-1] != "JPEG" and "JPEG" in labels
    together = _drawn(tmp_path / "q.svg", many, monkeypatch, panels=False)
    assert len(together.figure.axes) == 1 and len(together.containers) == 13
    few = _ladder(make_result, ("layer4.2", "layer3.4"), methods=1)
    assert len(_drawn(tmp_path / "r.svg", few, monkeypatch).figure.axes) == 1
    assert len(_drawn(tmp_path / "s.svg", few, monkeypatch, panels=True).figure.axes) == 2
    with pytest.raises(ConfigError, match="not of several splits"):
        plot_rate_accuracy([make_result()], tmp_path / "t.svg", panels=True)


def test_a_floor_cuts_the_axis_and_says_how_many_points_lie_below(tmp_path, make_result, monkeypatch) -> None:
    axes = _drawn(tmp_path / "p.svg", _ladder(make_result, ("layer4.2",), methods=1), monkeypatch, floor=70)
    assert axes.get_ylim()[0] == 70 and "below 70 %, not shown: 1." in axes.figure.get_supxlabel()
    with pytest.raises(ConfigError, match=r"floor of 90 %; the highest is at 86\.0 %"):
        plot_rate_accuracy([make_result("jpeg", rates=[(9, 86)])], tmp_path / "q.svg", floor=90)


def test_what_must_not_share_a_plot_or_cannot_be_drawn_is_refused(tmp_path: Path, make_result) -> None:
    with pytest.raises(ConfigError, match="never share a plot"):
        plot_rate_accuracy([make_result(), make_result(protocol="other")], tmp_path / "p.png")
    with pytest.raises(ConfigError, match=r".png or .svg, got `p.jpg`"):
        plot_rate_accuracy([make_result()], tmp_path / "p.jpg")
    with pytest.raises(DataError, match="evaluate a method first"):
        plot_rate_accuracy([], tmp_path / "p.png")
    assert not list(tmp_path.iterdir())


def test_registered_styles_are_told_apart_by_marker_where_their_greys_are_close() -> None:
    def grey(style: MethodStyle) -> float:
        red, green, blue = (int(style.colour[index : index + 2], 16) for index in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    styles = [style for style in METHOD_STYLES.values() if style.marker]
    pairs = [(a, b) for a in styles for b in styles if a.label < b.label]
    assert pairs and all(a.marker != b.marker or abs(grey(a) - grey(b)) > 25 for a, b in pairs)
    assert len({style.colour for style in styles}) == len(styles)


def test_an_unregistered_method_has_a_style_that_depends_on_its_name_alone(monkeypatch) -> None:
    style = method_style("my_codec")
    assert style == method_style("my_codec") and style.label == "my codec"
    monkeypatch.setitem(METHOD_STYLES, "my_codec", style._replace(marker="s"))
    assert method_style("my_codec").marker == "s"


def test_importing_the_leaderboard_imports_no_drawing_console_or_host_package_before_it_is_used() -> None:
    import sc2_spic_plugin.leaderboard as leaderboard

    folder = Path(str(leaderboard.__file__)).parent
    reached, waiting = set(), [folder / "__init__.py", folder / "evaluation" / "model.py"]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names += [node.module or ""] if node.level == 0 else []
                here = file.parents[node.level - 1] if node.level else None
                if here is not None and here.is_relative_to(folder):
                    target = here.joinpath(*str(node.module).split("."))
                    waiting.append(target / "__init__.py" if target.is_dir() else target.with_suffix(".py"))
            assert not {each.split(".")[0] for each in names} & {"matplotlib", "rich", "sc2bench", "pillow_heif"}, file
    known = {file.relative_to(folder).as_posix() for file in reached}
    assert {"drawing/plot.py", "tables/render.py", "codecs/image_codecs.py", "comparison/comparison.py"} <= known
    assert {"evaluation/segmentation_metric.py", "tables/csv_table.py", "results/curve.py"} <= known


def test_each_split_has_a_dash_of_its_own_with_and_without_labels(make_result) -> None:
    results = [
        make_result("spic", cut=cut, supervision=supervision)
        for supervision in ("supervised", "unsupervised")
        for cut in ("layer4.2", "layer3.4", "layer4.0")
    ]
    curves = build_curves([Source(result) for result in (*results, make_result("jpeg"))])
    dash = {
        (curve.meta.cut, curve.meta.supervision): dash for curve, dash in zip(curves, curve_dashes(curves), strict=True)
    }
    assert [dash[cut, "supervised"] for cut in ("layer3.4", "layer4.0", "layer4.2")] == [0, 1, 2]
    assert all(dash[cut, "unsupervised"] == dash[cut, "supervised"] for cut in ("layer3.4", "layer4.0", "layer4.2"))
    one = build_curves([Source(result) for result in results if result.meta.cut == "layer4.0"])
    assert sorted(curve_dashes(one)) == [0, 1]
