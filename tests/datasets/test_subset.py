"""Laws of the split into training and selection images."""

from collections import Counter

import pytest
import torchvision.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_parts import write_pairs

from sc2_spic_plugin.datasets import NO_LABEL, FlatImageFolder, HeldOut, PairFolder, PairToTensor, SyntheticImages
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


def test_pairs_split_as_one_class_and_are_transformed_together(tmp_path):
    whole = PairFolder(write_pairs(tmp_path, 20), classes=["a", "b", "c"])
    parts = [HeldOut(whole, part, fraction=0.3, transforms=PairToTensor()) for part in ("train", "selection")]
    assert sorted(parts[0].ids + parts[1].ids) == whole.ids and 0 < len(parts[1]) < 20
    assert set(parts[1].ids) == selection_ids(whole.ids, [0] * 20, 0.3, seed=0)
    for part in parts:
        assert part.classes == ["a", "b", "c"] and len(part[0]) == 2
        for (image, mask), image_id in zip((part[index] for index in range(len(part))), part.ids, strict=True):
            assert round(float(image[0, 0, 0]) * 255) == int(image_id[1:-4]) and mask.unique().tolist() == [0, 1, 2]
    again = HeldOut(parts[0], "train", transforms=lambda image, mask: (mask, image))  # a part of a part
    assert again[0][0].shape == (4, 6)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_pair_set_s_own_transforms_come_first(tmp_path, labelled):
    whole = PairFolder(write_pairs(tmp_path, 4), classes=["a", "b", "c"], transforms=PairToTensor())
    _, mask = HeldOut(whole, transforms=lambda image, mask: (image, mask + 1), labelled=labelled)[0]
    assert mask.unique().tolist() == ([1, 2, 3] if labelled else [256])


def test_without_labels_no_mask_is_opened_and_a_flat_folder_will_do(tmp_path):
    root = write_pairs(tmp_path, 8)
    for path in (root / "masks").iterdir():
        path.write_bytes(b"poison")
    pairs = PairFolder(root, classes=["a", "b", "c"])
    with pytest.raises(DataError, match="cannot be read"):
        HeldOut(pairs, transforms=PairToTensor())[0]
    for part in ("train", "selection"):
        for whole in (pairs, root / "images"):
            held_out = HeldOut(whole, part, fraction=0.5, transforms=PairToTensor(), labelled=False)
            assert all(
                mask.unique().tolist() == [255] and image.shape == (3, 4, 6)
                for image, mask in (held_out[index] for index in range(len(held_out)))
            )
    assert HeldOut(root / "images", transforms=PairToTensor())[0][1].unique().tolist() == [255]


def test_arguments_that_do_not_fit_the_kind_of_set_are_refused(make_folder, tmp_path):
    class Foreign:
        ids = ("a", "b")

    flat, pairs = make_folder("1.png", "2.png"), PairFolder(write_pairs(tmp_path / "pairs"), classes=["a", "b", "c"])
    with pytest.raises(ConfigError, match="give `transforms`, not `transform`"):
        HeldOut(pairs, transform=PairToTensor())
    with pytest.raises(ConfigError, match="has no masks, so it cannot be `labelled`"):
        HeldOut(flat, transforms=PairToTensor(), labelled=True)
    with pytest.raises(ConfigError, match="cannot be read without its masks"):
        HeldOut(Foreign(), labelled=False)


def test_a_limit_keeps_images_of_every_class_and_of_the_part_alone(make_folder):
    root = make_folder(*PATHS, "dog/0.png", "dog/1.png", "dog/2.png")
    whole, limited = HeldOut(root), HeldOut(root, limit=20)
    assert set(limited.ids) < set(whole.ids)
    counts = Counter(limited.targets)
    assert sorted(counts.values())[1:] == [5, 5, 5] and 1 <= counts[3] <= 2
    assert limited.ids == HeldOut(root, limit=20).ids
    assert HeldOut(root, limit=1000).ids == whole.ids
    with pytest.raises(ConfigError, match="`limit` is 0"):
        HeldOut(root, limit=0)
