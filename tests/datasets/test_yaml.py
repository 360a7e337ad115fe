"""The YAML in the docstrings builds the class it stands in."""

import inspect
import re
import textwrap

import pytest
import torchvision  # noqa: F401 - the hosts need it imported first

from sc2_spic_plugin.datasets import CheckedImageFolder, FlatImageFolder, HeldOut, SyntheticImages

yaml_util = pytest.importorskip("torchdistill.common.yaml_util")

TRANSFORMS = """
train_transform: &train_transform !import_call
  key: 'torchvision.transforms.ToTensor'
val_transform: &val_transform !import_call
  key: 'torchvision.transforms.ToTensor'
"""


@pytest.mark.parametrize("dataset_class", [CheckedImageFolder, FlatImageFolder, HeldOut, SyntheticImages])
def test_the_yaml_in_the_docstring_builds_the_class(dataset_class, make_folder, tmp_path):
    root = make_folder("train/cat/1.png", "train/cat/2.png", "val/cat/1.png")
    indented = re.search(r"^ {4}\S+: !import_call\n(?: {4}.*\n?)+", inspect.getdoc(dataset_class), flags=re.MULTILINE)
    text = textwrap.dedent(indented[0]).replace("resource/dataset/photographs", str(root))
    path = tmp_path / "config.yaml"
    path.write_text(TRANSFORMS + text)
    built = yaml_util.load_yaml_file(str(path))
    datasets = [value for key, value in built.items() if "/" in key]
    assert datasets and all(type(dataset) is dataset_class for dataset in datasets)
    assert all(dataset[0][0].shape[0] == 3 for dataset in datasets)
