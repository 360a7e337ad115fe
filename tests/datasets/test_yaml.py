"""The YAML in the docstrings builds the class it stands in, and the hosts find the joint transforms by name."""

import pytest
import torch
from docstring_yaml import build_from_docstring
from pair_parts import labels, picture

from sc2_spic_plugin import datasets
from sc2_spic_plugin.datasets import (
    CheckedImageFolder,
    FlatImageFolder,
    HeldOut,
    PairCompose,
    PairFolder,
    SyntheticImages,
    SyntheticScenes,
)


@pytest.mark.parametrize(
    "dataset_class", [CheckedImageFolder, FlatImageFolder, HeldOut, SyntheticImages, SyntheticScenes]
)
def test_the_yaml_in_the_docstring_builds_the_class(dataset_class, make_folder, tmp_path):
    root = make_folder("train/cat/1.png", "train/cat/2.png", "val/cat/1.png")
    built = build_from_docstring(dataset_class, tmp_path, "resource/dataset/photographs", root)
    assert built and all(type(dataset) is dataset_class for dataset in built)
    assert all(dataset[0][0].shape[0] == 3 for dataset in built)


def test_the_yaml_of_a_pair_folder_reads_camvid_s_layout(tmp_path):
    for folder, image in (("train", picture()), ("trainannot", labels(0, 10, 11))):
        (tmp_path / folder).mkdir()
        image.save(tmp_path / folder / "0001TP_006690.png")
    (dataset,) = build_from_docstring(PairFolder, tmp_path, "resource/dataset/camvid", tmp_path)
    assert dataset[0][1].unique().tolist() == [0, 10, 255] and len(dataset.classes) == 11


def test_the_yaml_of_the_joint_transforms_prepares_images_as_published(tmp_path):
    (compose,) = build_from_docstring(PairCompose, tmp_path)
    image, mask = compose(picture(255, width=80, height=60), labels(3, width=80, height=60))
    assert image.shape == (3, 513, 513) and mask.shape == (513, 513)
    assert torch.allclose(
        image[:, 0, 0], (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    )


def test_the_hosts_find_the_joint_transforms_and_the_collate_function_by_name():
    registry = pytest.importorskip("torchdistill.datasets.registry")
    for name in (name for name in datasets.__all__ if name.startswith("PairR") or name.endswith("Scenes")):
        table = registry.DATASET_DICT if name.endswith("Scenes") else registry.TRANSFORM_DICT
        assert table[f"Spic{name}"] is getattr(datasets, name)
    assert registry.get_collate_func("spic_pair_collate") is datasets.spic_pair_collate
