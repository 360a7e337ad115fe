"""Builds what the YAML in a docstring says, the way the hosts do."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torchvision  # noqa: F401 - the hosts need it imported first

TRANSFORMS = """
train_transform: &train_transform !import_call
  key: 'torchvision.transforms.ToTensor'
val_transform: &val_transform !import_call
  key: 'torchvision.transforms.ToTensor'
train_transforms: &train_transforms !import_call
  key: 'sc2_spic_plugin.datasets.PairToTensor'
  init:
val_transforms: &val_transforms !import_call
  key: 'sc2_spic_plugin.datasets.PairToTensor'
  init:
"""


def build_from_docstring(documented: type, folder: Path, root: str = "", new_root: object = "") -> list[Any]:
    """Returns the objects that the YAML in a class's docstring builds, with one path replaced by another."""
    yaml_util = pytest.importorskip("torchdistill.common.yaml_util")
    text = re.search(
        r"^ {4}\S+:(?: &\S+)? !import_call\n(?: {4}.*\n?)+", inspect.getdoc(documented) or "", flags=re.MULTILINE
    )
    assert text is not None, f"{documented.__name__} has no YAML in its docstring"
    own = textwrap.dedent(text[0])
    path = folder / "config.yaml"
    path.write_text(TRANSFORMS + own.replace(root, str(new_root)) if root else own)
    built = yaml_util.load_yaml_file(str(path))
    return [built[name] for name in re.findall(r"^(\S+):", own, flags=re.MULTILINE)]
