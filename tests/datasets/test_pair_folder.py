"""Laws of folders of image/mask pairs: pairing, labels, void, and what is said of bad input."""

import numpy as np
import pytest
from pair_parts import labels, picture, write_pairs
from PIL import Image

from sc2_spic_plugin.datasets import PairFolder
from sc2_spic_plugin.errors import ConfigError, DataError

CLASSES = ["sky", "road", "car"]


def as_array(mask: Image.Image) -> np.ndarray:
    assert mask.mode == "L"
    return np.asarray(mask)


def test_pairs_are_found_by_stem_at_any_depth_and_in_the_order_of_their_names(tmp_path):
    write_pairs(tmp_path, 2)
    for folder, suffix, image in (("images", "_left.jpg", picture(9)), ("masks", "_labels.png", labels(2))):
        (tmp_path / folder / "deep").mkdir()
        image.save(tmp_path / folder / "deep" / f"x{suffix}")
    named = PairFolder(tmp_path, classes=CLASSES, image_suffix="_left", mask_suffix="_labels")
    assert named.ids == ["deep/x_left.jpg"] and set(as_array(named[0][1]).flat) == {2}
    (tmp_path / "masks" / "deep" / "x_labels.png").rename(tmp_path / "masks" / "deep" / "x_left.png")
    dataset = PairFolder(tmp_path, classes=CLASSES)
    assert dataset.ids == ["deep/x_left.jpg", "p0.png", "p1.png"] and len(dataset) == 3
    assert [dataset[index][0].getpixel((0, 0))[0] for index in (1, 2)] == [0, 1]
    assert dataset.classes == CLASSES and dataset[0][0].mode == "RGB"


def test_a_palette_mask_counts_by_index_whatever_its_colours(tmp_path):
    palette = labels(0, 1, 2).convert("L")
    palette = Image.frombytes("P", palette.size, palette.tobytes())
    palette.putpalette([7, 7, 7, 200, 0, 0, 7, 7, 7])
    dataset = PairFolder(write_pairs(tmp_path, 2, p1=palette), classes=CLASSES)
    assert np.array_equal(as_array(dataset[0][1]), as_array(dataset[1][1]))


def test_void_labels_become_255_and_the_others_are_the_classes_in_ascending_order(tmp_path):
    write_pairs(tmp_path, 1, p0=labels(0, 1, 2, 3, 255))
    last = as_array(PairFolder(tmp_path, classes=CLASSES, void=[3])[0][1])
    assert np.array_equal(last, as_array(labels(0, 1, 2, 255, 255)))
    first = as_array(PairFolder(tmp_path, classes=CLASSES, void=0)[0][1])
    assert np.array_equal(first, as_array(labels(255, 0, 1, 2, 255)))


def test_a_label_out_of_range_is_refused_naming_the_file_and_the_label(tmp_path):
    dataset = PairFolder(write_pairs(tmp_path, 1, p0=labels(0, 1, 17, 19)), classes=CLASSES)
    with pytest.raises(DataError, match=r"p0\.png` holds label 17, 19, but the 3 classes have labels 0 to 2"):
        dataset[0]


@pytest.mark.parametrize(
    "mask, message",
    [
        (labels(0, width=7), r"mask of `p0\.png` is 7 x 4 pixels, its image 6 x 4"),
        (Image.fromarray(np.zeros((4, 6), dtype=np.uint16)), r"p0\.png` holds 16 or 32 bits"),
        (picture(), r"p0\.png` holds colours"),
    ],
)
def test_a_mask_of_another_size_or_kind_is_refused(tmp_path, mask, message):
    with pytest.raises(DataError, match=message):
        PairFolder(write_pairs(tmp_path, 1, p0=mask), classes=CLASSES)[0]


def test_a_damaged_or_vanished_mask_is_named(tmp_path):
    dataset = PairFolder(write_pairs(tmp_path, 2), classes=CLASSES)
    file = tmp_path / "masks" / "p0.png"
    file.write_bytes(file.read_bytes()[:50])
    (tmp_path / "masks" / "p1.png").unlink()
    with pytest.raises(DataError, match=r"mask `.*p0\.png` cannot be read"):
        dataset[0]
    with pytest.raises(DataError, match=r"mask `.*p1\.png` has gone"):
        dataset[1]


def test_files_without_counterpart_are_refused_naming_some(tmp_path):
    write_pairs(tmp_path, 6)
    for number in range(4):
        (tmp_path / "masks" / f"p{number}.png").unlink()
    with pytest.raises(
        DataError, match=r"4 of 6 images .* have no mask of the same name: `p0.png`, `p1.png`, `p2.png`, \.\.\."
    ):
        PairFolder(tmp_path, classes=CLASSES)
    for number in range(5):
        (tmp_path / "images" / f"p{number}.png").unlink()
    with pytest.raises(DataError, match=r"1 of 2 masks .* have no image of the same name: `p4.png`"):
        PairFolder(tmp_path, classes=CLASSES)
    picture().save(tmp_path / "images" / "p5.jpg")
    with pytest.raises(DataError, match="have one name"):
        PairFolder(tmp_path, classes=CLASSES)


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        PairFolder(tmp_path / "absent", classes=CLASSES)
    write_pairs(tmp_path, 1)
    with pytest.raises(DataError, match=r"labels` does not exist"):
        PairFolder(tmp_path, masks="labels", classes=CLASSES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no image below"):
        PairFolder(tmp_path, images="empty", classes=CLASSES)
    with pytest.raises(DataError, match="ends in `_x`"):
        PairFolder(tmp_path, classes=CLASSES, mask_suffix="_x")


@pytest.mark.parametrize(
    "classes, void, message",
    [([], (), "must hold the class names"), (["a", "a"], (), "each once"), (["a"], 256, "between 0 and 255")],
)
def test_classes_and_void_labels_that_cannot_be_used_are_refused(tmp_path, classes, void, message):
    with pytest.raises(ConfigError, match=message):
        PairFolder(write_pairs(tmp_path, 1), classes=classes, void=void)
    with pytest.raises(ConfigError, match="cannot hold 255 classes beside 2"):
        PairFolder(tmp_path, classes=[str(number) for number in range(255)], void=3)


def test_without_labels_no_mask_is_opened_and_every_pixel_is_void(tmp_path):
    write_pairs(tmp_path, 2)
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(b"poison")
    assert len(PairFolder(tmp_path, classes=CLASSES)) == 2  # listing opens none either
    for masks in ("masks", "no such folder"):
        image, mask = PairFolder(tmp_path, masks=masks, classes=CLASSES, labelled=False)[1]
        assert image.getpixel((0, 0))[0] == 1 and mask.size == image.size and set(as_array(mask).flat) == {255}
