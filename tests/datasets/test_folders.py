"""Laws of the folders with and without classes."""

import copy
import re

import pytest
import torchvision.datasets
from PIL import Image

from sc2_spic_plugin.datasets import NO_LABEL, CheckedImageFolder, FlatImageFolder
from sc2_spic_plugin.errors import DataError


def test_a_flat_folder_lists_all_images_below_it_in_path_order_and_knows_no_label(make_folder):
    root = make_folder("z.png", "b/deep/2.png", "a/1.PNG", "b/1.png")
    (root / "notes.txt").write_text("not an image")
    (root / ".hidden.png").write_bytes(b"not looked at")
    dataset = FlatImageFolder(root)
    assert dataset.ids == ["a/1.PNG", "b/1.png", "b/deep/2.png", "z.png"]
    assert {target for _, target in dataset} == {NO_LABEL} == set(dataset.targets)
    assert dataset[3][0].getpixel((0, 0)) == (0, 0, 0)
    assert dataset[1][0].getpixel((0, 0)) == (3, 3, 3)


def test_a_flat_folder_gives_rgb_images_through_the_transform(make_folder):
    root = make_folder("colour.png")
    Image.new("L", (5, 7), 9).save(root / "grey.png")
    Image.new("RGBA", (5, 7)).save(root / "transparent.png")
    assert {image.mode for image, _ in FlatImageFolder(root)} == {"RGB"}
    assert [size for size, _ in FlatImageFolder(root, transform=lambda image: image.size)] == [(6, 4), (5, 7), (5, 7)]


def test_a_flat_folder_takes_only_the_endings_it_is_told(make_folder):
    assert FlatImageFolder(make_folder("a.png", "b.bmp"), extensions=(".BMP",)).ids == ["b.bmp"]


def test_a_folder_that_links_to_itself_is_listed_once(make_folder):
    root = make_folder("a/1.png")
    (root / "a" / "again").symlink_to(root, target_is_directory=True)
    assert FlatImageFolder(root).ids == ["a/1.png"]


@pytest.mark.parametrize("folder_class", [FlatImageFolder, CheckedImageFolder])
def test_a_missing_folder_is_refused_naming_it(tmp_path, folder_class):
    with pytest.raises(DataError, match=r"absent` does not exist.*correct the path"):
        folder_class(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        folder_class(tmp_path / "file")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="no image below"):
        FlatImageFolder(tmp_path)


@pytest.mark.parametrize("damage", ["cut short", "text", "broken chunk"])
@pytest.mark.parametrize("folder_class", [FlatImageFolder, CheckedImageFolder])
def test_a_corrupt_image_is_refused_naming_the_file(make_folder, folder_class, damage):
    root = make_folder("cat/good.png", "cat/ruined.png")
    path = root / "cat" / "ruined.png"
    content = path.read_bytes()
    damaged = {
        "cut short": content[:-30],
        "text": b"not an image",
        "broken chunk": content[:40] + b"????" + content[44:],
    }
    path.write_bytes(damaged[damage])
    dataset = folder_class(root)
    assert dataset[0][0].size == (6, 4)
    with pytest.raises(DataError, match=re.escape(str(path)) + ".*replace or remove"):
        dataset[1]


def test_a_file_that_went_after_listing_is_refused_naming_it(make_folder):
    root = make_folder("1.png")
    dataset = FlatImageFolder(root)
    (root / "1.png").unlink()
    with pytest.raises(DataError, match=r"there is no image at .*1\.png"):
        dataset[0]


def test_a_checked_folder_holds_what_the_stock_one_holds_and_its_ids_are_relative_paths(make_folder):
    root = make_folder("cat/2.png", "ant/1.png", "cat/1.png")
    checked, stock = CheckedImageFolder(root), torchvision.datasets.ImageFolder(str(root))
    assert checked.samples == stock.samples and checked.classes == stock.classes
    assert [item[0].tobytes() for item in checked] == [item[0].tobytes() for item in stock]
    assert checked.ids == ["ant/1.png", "cat/1.png", "cat/2.png"]
    assert copy.deepcopy(checked).ids == checked.ids  # as the hosts' split does


def test_a_checked_folder_refuses_a_flat_layout_and_an_empty_class(make_folder):
    root = make_folder("1.png")
    with pytest.raises(DataError, match=r"holds no class folders.*FlatImageFolder"):
        CheckedImageFolder(root)
    make_folder("cat/1.png", root="classes")
    (root.parent / "classes" / "dog").mkdir()
    with pytest.raises(DataError, match=r"is empty.*dog"):
        CheckedImageFolder(root.parent / "classes")


def test_a_hidden_folder_is_no_class_and_shifts_none(tmp_path) -> None:
    for name in (".ipynb_checkpoints", "cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "a.png")
    data = CheckedImageFolder(tmp_path)
    assert data.classes == ["cat", "dog"] and data.targets == [0, 1] and data.ids == ["cat/a.png", "dog/a.png"]


def test_a_folder_reached_twice_has_its_own_name_on_every_disk(tmp_path, monkeypatch) -> None:
    (tmp_path / "real").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "real" / "a.png")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    assert FlatImageFolder(tmp_path).ids == ["real/a.png"]
