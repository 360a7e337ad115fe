"""What is committed of Imagenette agrees with itself: tables with results, the README with both."""

import json
from pathlib import Path
from typing import Any

import pytest

from sc2_spic_plugin.leaderboard import Comparison, collect_results, compare_all, comparison_document, render_markdown
from sc2_spic_plugin.leaderboard.comparison.comparison import DROPS
from sc2_spic_plugin.leaderboard.results.curve import Curve

IMAGE_BYTES = 160 * 160 / 8
"""Bytes of an image at one bit per pixel."""
SPLITS = {"split 1": "layer4.2", "split 2": "layer4.0", "split 3": "layer3.4"}
SUPERVISIONS = {"supervised": "supervised", "label-free": "unsupervised"}
METHODS = {
    "static table": "spic_static_table",
    "static table with modes": "spic_static_table_modes",
    "mode table": "spic_mode_table",
    "static table with KL and modes": "spic_static_table_kl",
    "l1": "spic_l1",
    "l1 with KL and modes": "spic_l1_kl",
    "Entropic Student": "entropic_student",
    "JPEG": "jpeg",
    "WebP": "webp",
    "HEIC": "heic",
    "BPG": "bpg",
}


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "benchmarks" / "results" / "imagenette"


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Comparison:
    (found,) = compare_all(collect_results([folder]).sources)
    return found


def test_the_committed_tables_are_those_of_the_committed_results(folder: Path, comparison: Comparison) -> None:
    results = [source.result for source in collect_results([folder]).sources]
    assert (folder / "leaderboard.md").read_text(encoding="utf-8") == render_markdown(results)
    written = (folder / "comparison.json").read_text(encoding="utf-8")
    assert _rounded(json.dumps(comparison_document([comparison]))) == _rounded(written)


def test_the_readme_states_what_the_committed_results_say(repository: Path, comparison: Comparison) -> None:
    page = (repository / "README.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ") for line in page.splitlines() if line.endswith(" KB |") or line.endswith("| 0 |")
    ]
    stated = {cells[0]: cells[1:] for cells in rows if cells[0].startswith("SPIC") or cells[0] in METHODS}
    assert len(stated) >= 6
    for name, (one, two, encoder) in stated.items():
        curve = _curve(comparison, name)
        for text, drop in ((one, 1.0), (two, 2.0)):
            assert text == _bytes(comparison, curve, drop), name
        kilobytes = curve.points[0].mean("encoder_kilobytes")
        assert encoder == (f"{kilobytes:,.0f} KB" if kilobytes else "0"), name


def _rounded(text: str) -> Any:
    """Reads JSON to six digits: the last ones are another machine's."""
    return json.loads(text, parse_float=lambda digits: float(f"{float(digits):.6g}"))


def _curve(comparison: Comparison, name: str) -> Curve:
    """Returns the curve that a row of the README names."""
    words = name.removeprefix("SPIC at ").split(", ")
    if name.startswith("SPIC"):
        split, method, supervision = words
        wanted = (METHODS[method], SUPERVISIONS[supervision], SPLITS[split])
    else:
        wanted = (METHODS[name], "supervised" if name == "Entropic Student" else None, None)
    (curve,) = (
        each
        for each in comparison.curves
        if (each.meta.method, each.meta.supervision, each.meta.cut if name.startswith("SPIC") else None) == wanted
    )
    return curve


def _bytes(comparison: Comparison, curve: Curve, drop: float) -> str:
    found = comparison.rates[comparison.curves.index(curve)][DROPS.index(drop)]
    assert found is not None and found.interval is not None
    if found.interval == (None, None):
        return "never"
    low, high = (_size(end) for end in found.interval)
    return (
        f"{'at most ' if found.is_bound else ''}{_size(found.bpp)}{'' if found.bpp is None else ' B'} ({low} to {high})"
    )


def _size(bpp: float | None) -> str:
    if bpp is None:
        return "never"
    size = bpp * IMAGE_BYTES
    return f"{size:.1f}" if size < 10 else f"{size:,.0f}"
