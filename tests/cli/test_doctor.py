"""`sc2-spic doctor`: what it finds is tried, what is missing is said with what to do, only a missing host fails."""

import sys

import pytest
from typer.testing import CliRunner

from sc2_spic_plugin.cli.doctor import HOSTS, Finding, examine
from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import CodecPoint, unavailable_reason


def found() -> dict[str, Finding]:
    return {finding.part or finding.group: finding for finding in examine()}


def test_every_host_has_its_version_and_every_codec_is_tried_or_says_why_not() -> None:
    findings = found()
    assert all(findings[host].state == "ok" and findings[host].detail[0].isdigit() for host in HOSTS)
    for codec in ("jpeg", "webp", "heic", "bpg", "vtm"):
        reason = unavailable_reason(codec)
        if reason:
            assert findings[codec][2:] == ("absent", reason)
        else:
            assert findings[codec].state == "ok" and "a 96x64 image in" in findings[codec].detail
    assert "imagenette (" in findings["Configs"].detail


def test_absent_codecs_and_optional_packages_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pycocotools", "pillow_heif"):
        monkeypatch.setitem(sys.modules, module, None)
    for variable in ("SC2_SPIC_BPGENC", "SC2_SPIC_BPGDEC", "SC2_SPIC_VTM_ENCODER"):
        monkeypatch.setenv(variable, "/nowhere/program")
    monkeypatch.setenv("COLUMNS", "300")
    outcome = CliRunner().invoke(app, ["doctor"])
    assert outcome.exit_code == 0
    advices = ("pip install pycocotools", "pip install pillow-heif", "SC2_SPIC_BPGENC and SC2_SPIC_BPGDEC",
               "build VVCSoftware_VTM (cmake, make) and set SC2_SPIC_VTM_ENCODER")  # fmt: skip
    for advice in advices:
        assert advice in outcome.stdout
    assert outcome.stdout.count("absent") == 4 and "missing" not in outcome.stdout


def test_a_missing_host_is_named_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchdistill", None)
    monkeypatch.setenv("COLUMNS", "300")
    outcome = CliRunner().invoke(app, ["doctor"])
    assert outcome.exit_code == 1
    assert "pip install torchdistill" in outcome.stdout and "not tried; install the hosts first" in outcome.stdout
    assert outcome.stdout.count("missing") == 1


def test_a_codec_that_fails_on_the_image_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_point: CodecPoint, _image: object) -> None:
        raise DataError("the encoder said [no]")

    monkeypatch.setattr(CodecPoint, "transmit", fail)
    monkeypatch.setenv("COLUMNS", "300")
    outcome = CliRunner().invoke(app, ["doctor"])
    assert outcome.exit_code == 0 and "the encoder said [no]" in outcome.stdout
    assert found()["jpeg"][2:] == ("failed", "the encoder said [no]")
