"""What `auto` means, and that bf16 without instructions for it is said to be slow."""

from typing import Any

import pytest
import torch

from sc2_spic_plugin.cli.preparing import checked_precision
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.ops.precision import computes_bf16, settled_precision


@pytest.fixture(params=[{"avx2": True}, {"avx512_bf16": True}, {"amx_bf16": True}, {"neon": True, "bf16": True}])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A processor of each kind, as torch describes it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: request.param, raising=False)
    return request.param


def test_auto_is_bf16_only_where_the_processor_has_instructions_for_it(processor: dict[str, Any]) -> None:
    has = any("bf16" in name for name in processor)
    assert computes_bf16("cpu") == has
    assert settled_precision("auto", "cpu") == ("bf16" if has else "fp32")


def test_what_is_asked_for_is_kept_and_said_to_be_slow(
    processor: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert [checked_precision(name, "cpu") for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    said = capsys.readouterr()
    assert ("no instructions for it" in said.out + said.err) != any("bf16" in name for name in processor)


def test_an_unknown_precision_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown precision `bf61`\. Did you mean `bf16`"):
        settled_precision("bf61", "cpu")


def test_an_older_torch_that_does_not_tell_gets_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert settled_precision("auto", "cpu") == "fp32"
