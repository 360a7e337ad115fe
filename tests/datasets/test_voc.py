"""Laws of the PASCAL VOC set: torchvision's layout and labels, and what is said when part of it is missing."""

import shutil

import numpy as np
import pytest
from docstring_yaml import build_from_docstring
from pair_parts import labels, picture
from torchvision.datasets import VOCSegmentation

from sc2_spic_plugin.datasets import VOC_CLASSES, HeldOut, PairToTensor, VocSegmentation
from sc2_spic_plugin.errors import ConfigError, DataError

NAMES = ("2007_000033", "2007_000042", "2007_000061")


@pytest.fixture
def root(tmp_path):
    """VOCdevkit/VOC2012 with three images whose masks are palette files."""
    base = tmp_path / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (base / folder).mkdir(parents=True)
    for number, name in enumerate(NAMES):
        picture(number * 60).save(base / "JPEGImages" / f"{name}.jpg")
        mask = labels(0, 20, 255, number + 1).convert("L")
        palette = mask.copy()
        palette.putpalette([index // 3 for index in range(768)])
        palette.save(base / "SegmentationClass" / f"{name}.png")
    (base / "ImageSets" / "Segmentation" / "val.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


def test_the_pairs_are_those_of_torchvision(root):
    ours, stock = VocSegmentation(root, "val"), VOCSegmentation(root, image_set="val")
    assert len(ours) == 3 and ours.ids == [f"{name}.jpg" for name in NAMES]
    assert len(ours.classes) == 21 and ours.classes[15] == VOC_CLASSES[15] == "person"
    for (image, mask), (stock_image, stock_mask) in zip(
        (ours[i] for i in range(3)), (stock[i] for i in range(3)), strict=True
    ):
        assert np.array_equal(image, stock_image) and np.array_equal(mask, stock_mask)
    assert {20, 255} < set(np.asarray(ours[0][1]).flat)


def test_the_yaml_in_the_docstring_builds_the_set(root, tmp_path):
    (dataset,) = build_from_docstring(VocSegmentation, tmp_path, "resource/dataset", root)
    assert len(dataset) == 3 and dataset[0][0].shape == (3, 4, 6)


def test_it_splits_and_is_read_without_masks(root):
    shutil.rmtree(root / "VOCdevkit" / "VOC2012" / "SegmentationClass")
    blind = VocSegmentation(root, "val", transforms=PairToTensor(), labelled=False)
    assert blind[2][1].unique().tolist() == [255]
    assert len(HeldOut(blind, "train")) + len(HeldOut(blind, "selection")) == 3


@pytest.mark.parametrize(
    "lost, message",
    [
        ("", r"There is no `.*JPEGImages`, no `.*SegmentationClass`, no `.*val\.txt`"),
        ("SegmentationClass", r"There is no `[^`]*SegmentationClass`\. Unpack `VOCtrainval_11-May-2012\.tar`"),
        ("ImageSets", r"There is no `[^`]*val\.txt`"),
        ("JPEGImages/2007_000042.jpg", r"1 of 3 files, the first is `.*2007_000042\.jpg`"),
        ("SegmentationClass/2007_000061.png", r"1 of 3 files, the first is `.*2007_000061\.png`"),
    ],
)
def test_what_is_missing_is_said_with_where_to_get_it(root, lost, message):
    path = root / "VOCdevkit" / "VOC2012" / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(DataError, match=message) as caught:
        VocSegmentation(root, "val")
    assert "robots.ox.ac.uk" in str(caught.value)
    assert "`download: True`" in str(caught.value)


def test_an_empty_list_and_unknown_sets_are_refused(root):
    (root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").write_text("")
    with pytest.raises(DataError, match="the list of the set `val` is empty"):
        VocSegmentation(root, "val")
    with pytest.raises(ConfigError, match="Did you mean `train`"):
        VocSegmentation(root, "trian")
    with pytest.raises(ConfigError, match="no PASCAL VOC of year `2013`"):
        VocSegmentation(root, year=2013)
