"""Laws of the split into training and selection images."""

from collections import Counter

import pytest
import torchvision.datasets
from hypothesis import given, settings
from hypothesis import strategies as st

from sc2_spic_plugin.datasets import NO_LABEL, FlatImageFolder, HeldOut, SyntheticImages
from sc2_spic_plugin.datasets.subset import selection_ids
from sc2_spic_plugin.errors import ConfigError, DataError

PATHS = [f"{name}/{number:03d}.png" for name in ("ant", "bee", "cat") for number in range(20)]


def test_the_parts_are_disjoint_and_make_up_the_whole(make_folder):
    root = make_folder(*PATHS)
    train, selection = (HeldOut(root, part, fraction=0.25) for part in ("train", "selection"))
    assert sorted(train.ids + selection.ids) == PATHS
    assert len(train) == len(train.ids) and len(selection) == len(selection.ids)
    assert set(Counter(selection.targets)) == {0, 1, 2} and selection.classes == ["ant", "bee", "cat"]
    for index, image_id in enumerate(selection.ids):
        image, target = selection[index]
        assert image.getpixel((0, 0))[0] == PATHS.index(image_id)
        assert selection.classes[target] == image_id.split("/")[0]


@settings(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, 400), min_size=60, max_size=120), st.sets(st.integers(401, 900), max_size=60))
def test_adding_files_moves_no_other_file_between_the_parts(old, new):
    old_ids, all_ids = sorted(f"{number}.png" for number in old), sorted(f"{number}.png" for number in old | new)
    before = selection_ids(old_ids, [0] * len(old_ids), 0.3, seed=0)
    after = selection_ids(all_ids, [0] * len(all_ids), 0.3, seed=0)
    assert before == after & set(old_ids)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_about_the_asked_fraction_of_every_class_is_held_out(fraction):
    ids = [f"{target}/{number}.jpg" for target in range(4) for number in range(2000)]
    held_out = selection_ids(ids, [int(name[0]) for name in ids], fraction, seed=3)
    for count in Counter(name[0] for name in held_out).values():
        assert abs(count - 2000 * fraction) < 5 * (2000 * fraction * (1 - fraction)) ** 0.5  # five binomial deviations


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 6), st.integers(0, 50))
def test_every_class_of_two_or_more_images_has_one_in_each_part(count, seed):
    ids = [f"{target}/{number}" for target in range(5) for number in range(count)]
    held_out = selection_ids(ids, [int(name[0]) for name in ids], 0.1, seed)
    assert all(0 < taken < count for taken in Counter(name[0] for name in held_out).values())
    assert {name[0] for name in held_out} == set("01234")


def test_another_seed_gives_another_split():
    assert selection_ids(PATHS, [0] * 60, 0.5, seed=0) != selection_ids(PATHS, [0] * 60, 0.5, seed=1)


def test_the_split_is_the_same_today_as_ever():
    assert sorted(selection_ids(PATHS, [0] * 60, 0.1, seed=0)) == ["bee/008.png", "bee/018.png", "cat/001.png"]


def test_a_flat_folder_splits_without_labels_and_a_classless_reading_can_be_forced(make_folder):
    flat = make_folder(*(path.replace("/", "_") for path in PATHS))
    assert {target for _, target in HeldOut(flat, "selection")} == {NO_LABEL}
    classes = make_folder(*PATHS, root="classes")
    assert {target for _, target in HeldOut(classes, "train", labelled=False)} == {NO_LABEL}


def test_a_flat_subset_and_any_folder_data_set_split_alike(make_folder):
    root = make_folder(*PATHS)
    stock = HeldOut(torchvision.datasets.ImageFolder(str(root)), "selection", transform=lambda image: image.size)
    assert stock.ids == HeldOut(root, "selection").ids
    assert stock[0][0] == (6, 4)
    flat = HeldOut(FlatImageFolder(root), "selection")
    assert set(flat.ids) <= set(PATHS)
    synthetic = HeldOut(SyntheticImages(samples_per_class=10), "selection")
    assert set(Counter(synthetic.targets)) == set(range(8))


def test_bad_arguments_are_refused_saying_what_to_do(make_folder, tmp_path):
    root = make_folder(*PATHS)
    with pytest.raises(ConfigError, match="Did you mean `selection`"):
        HeldOut(root, "selectoin")
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        HeldOut(root, fraction=1.0)
    with pytest.raises(DataError, match="does not exist"):
        HeldOut(tmp_path / "absent")
    with pytest.raises(DataError, match="would hold no image"):
        HeldOut(make_folder("only.png", root="one"), "selection")
    with pytest.raises(DataError, match="no `ids`"):
        HeldOut([("image", 0)])
