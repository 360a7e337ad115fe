"""The main job in one command: every method measured on real bytes, one table, one plot."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.configs import config_root
from sc2_spic_plugin.configs.suite import load_suite
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import ResultFile, read_per_image_csv


@pytest.mark.slow
def test_the_quick_demo_measures_every_method_on_the_same_images(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    ran = CliRunner().invoke(app, ["demo", "--quick", "--out", str(out)], catch_exceptions=False)
    assert ran.exit_code == 0
    results = {path.stem: ResultFile.load(path) for path in (out / "results").glob("*.json")}
    suite = load_suite(config_root() / "suites" / "demo_quick.yaml")
    assert set(results) == {"original", "label", *suite.codecs, *(method.name for method in suite.methods)}
    assert len({result.meta.network_sha256 for result in results.values()}) == 1
    assert len({result.meta.samples for result in results.values()}) == 1
    for name, result in results.items():
        assert result.meta.bits == "measured"
        for point in result.points:
            rows = read_per_image_csv(out / "results" / f"{name}.{point.unit}.csv")
            assert len(rows) == result.meta.samples
            assert point.top1 == pytest.approx(100 * sum(row.correct for row in rows) / len(rows))
            if point.bpp is not None:
                payload = sum(row.payload_bytes for row in rows) / len(rows)
                assert point.payload_bytes == pytest.approx(payload)
                assert point.bpp == pytest.approx(payload * 8 / 64**2)
            if name.startswith("spic"):
                assert point.payload_bytes == pytest.approx(point.code_bytes + 1)
    spic = results["spic_static_table-supervised"].points
    assert max(point.payload_bytes for point in spic) < min(point.payload_bytes for point in results["jpeg"].points)
    table = (out / "leaderboard.md").read_text()
    assert all(label in table for label in ("SPIC", "Entropic Student", "JPEG", "WebP", "HEIC", "send the label"))
    assert (out / "rate_accuracy.png").read_bytes().startswith(b"\x89PNG")
    before = (out / "leaderboard.md").read_bytes()
    with pytest.raises(ConfigError, match="holds results already"):
        CliRunner().invoke(app, ["demo", "--quick", "--out", str(out)], catch_exceptions=False)
    assert (out / "leaderboard.md").read_bytes() == before


def test_a_folder_without_its_parts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="no `val` folder"):
        CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "o"), "--data", str(tmp_path)], catch_exceptions=False)


def test_weights_without_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--network needs --data"):
        CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--network", "x.pt"], catch_exceptions=False)
