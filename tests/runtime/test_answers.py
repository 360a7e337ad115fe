"""What is said about an output is what the network computed: classes by probability, masks by class index."""

from pathlib import Path

import numpy as np
import pytest
import torch
from half_parts import CLASSES, Exported
from PIL import Image
from tiny_parts import make_images

from sc2_spic_plugin.cli.halves import decode
from sc2_spic_plugin.datasets.segmentation.masks import read_mask
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.runtime import class_name, class_shares, first_classes, label_map, mask_image, scores_of


def test_the_most_probable_classes_come_first_and_equals_by_index() -> None:
    first = first_classes(torch.tensor([0.0, 2.0, 1.0, 2.0]), 3)
    assert [index for index, _ in first] == [1, 3, 2]
    assert [share for _, share in first] == sorted((share for _, share in first), reverse=True)
    assert sum(share for _, share in first_classes(torch.randn(9), 20)) == pytest.approx(1)


def test_classes_without_names_are_called_by_number() -> None:
    assert class_name(["sky"], 0) == "sky" and class_name(["sky"], 1) == class_name(None, 1) == "class 1"


def test_a_mask_holds_class_indices_under_colours_that_differ(tmp_path: Path) -> None:
    labels = np.arange(256).reshape(8, 32)
    mask_image(labels).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), labels)
    colours = np.array(Image.open(tmp_path / "mask.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) == 256 and not colours[0].any()
    with pytest.raises(ConfigError, match="8 bits holds 256 classes"):
        mask_image(labels + 1)


def test_shares_are_parts_of_all_pixels() -> None:
    assert class_shares(np.array([[2, 2, 0], [2, 1, 1]])) == [
        (2, 0.5),
        (1, pytest.approx(1 / 3)),
        (0, pytest.approx(1 / 6)),
    ]


@pytest.fixture
def sent(segmenter: Exported, tmp_path: Path) -> Path:
    """A container of one image."""
    path = tmp_path / "sent.spic"
    path.write_bytes(segmenter.device.pack(segmenter.device.encode(make_images(1, 40, 60))))
    return path


def test_a_mask_is_written_with_the_classes_named(
    segmenter: Exported, sent: Path, capsys: pytest.CaptureFixture
) -> None:
    mask = sent.with_name("mask.png")
    decode(sent, segmenter.folder, mask)
    labels = label_map(scores_of(segmenter.model(make_images(1, 40, 60)))[0])
    assert np.array_equal(read_mask(mask), labels)
    said = capsys.readouterr().out
    shares = ", ".join(f"{CLASSES[index]} {100 * share:.1f} %" for index, share in class_shares(labels))
    assert said == f"1: {mask}, 60 x 40 pixels, {shares}\n"
    decode(sent, segmenter.folder)
    assert capsys.readouterr().out == f"1: 60 x 40 pixels, {shares}\n"
    mask.write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"mask\.png exists; choose another -o, or pass --overwrite"):
        decode(sent, segmenter.folder, mask)
    assert mask.read_bytes() == b"mine"
    decode(sent, segmenter.folder, mask, overwrite=True)
    assert np.array_equal(read_mask(mask), labels)


def test_many_masks_need_a_folder_and_a_classifier_makes_none(
    segmenter: Exported, classifier: Exported, sent: Path
) -> None:
    sent.write_bytes(segmenter.device.pack(segmenter.device.encode(make_images(2))))
    with pytest.raises(ConfigError, match="there are 2 masks to write, not one; give a folder"):
        decode(sent, segmenter.folder, sent.with_name("mask.png"))
    sent.write_bytes(classifier.device.pack(classifier.device.encode(make_images(1))))
    with pytest.raises(ConfigError, match="this export classifies"):
        decode(sent, classifier.folder, sent.with_name("mask.png"))
    assert list(sent.parent.iterdir()) == [sent]
