"""A folder that configs for segmentation name: pairs, weights and a protocol."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from segmentation_parts import PROTOCOL, settled_network, write_pairs

from sc2_spic_plugin.configs import render_config


@pytest.fixture
def segmentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes the folder, goes there, and returns a function that writes a config with values of its own."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "train", 16, seed=0)
    write_pairs(tmp_path / "val", 6, seed=1)
    torch.save({"model": settled_network().state_dict()}, tmp_path / "network.pt")
    (tmp_path / "protocol.yaml").write_text(PROTOCOL)
    template = (Path(__file__).parent / "tiny_segmentation.yaml").read_text()

    def write(name: str = "tiny", **values: Any) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(render_config(template, values) if values else template)
        return path

    return write
