"""Laws of the synthetic scenes: the same everywhere, every class in a small set, masks that fit the pictures."""

import hashlib

import numpy as np
import pytest

from sc2_spic_plugin.datasets import PairToTensor, SyntheticScenes
from sc2_spic_plugin.datasets.segmentation.scenes import _scene
from sc2_spic_plugin.errors import ConfigError

GOLDEN = "949c5a36889ea955b32c030326798244b272a8d31f3c1d6b2ae96285b516c4ea"


def test_the_scenes_are_the_same_today_as_ever():
    digest = hashlib.sha256()
    for dataset in (
        SyntheticScenes("train", 3, 48),
        SyntheticScenes("val", 2, [48, 64], num_classes=12),
        SyntheticScenes("test", 1, [64, 40], seed=5),
    ):
        for index in range(len(dataset)):
            for array in dataset.arrays(index):
                digest.update(array.tobytes())
    assert digest.hexdigest() == GOLDEN


@pytest.mark.parametrize("num_classes", [3, 7, 12])
def test_a_set_of_one_scene_per_body_holds_every_class_and_a_little_void(num_classes):
    dataset = SyntheticScenes("val", num_classes - 2, 64, num_classes=num_classes)
    counts = sum(np.bincount(dataset.arrays(index)[1].ravel(), minlength=256) for index in range(len(dataset)))
    share = counts / counts.sum()
    assert len(dataset.classes) == num_classes and (share[:num_classes] > 0.002).all()
    assert 0.01 < share[255] < 0.15 and share[num_classes:255].sum() == 0


def test_a_scene_depends_on_its_own_number_and_split_only():
    train, val = SyntheticScenes("train", 3, 32), SyntheticScenes("val", 3, 32)
    alone = SyntheticScenes("train", 1, 32).arrays(0)
    _scene.cache_clear()
    assert all(map(np.array_equal, train.arrays(0), alone))
    pictures = [part.arrays(index)[0] for part in (train, val) for index in range(3)]
    pictures.append(SyntheticScenes("train", 1, 32, seed=1).arrays(0)[0])
    assert len({picture.tobytes() for picture in pictures}) == 7
    assert train.digest() != val.digest() and train.digest() == SyntheticScenes("train", 3, 32).digest()


def test_bodies_differ_from_what_is_behind_them_where_the_mask_says_so():
    """Across a mask's edges the picture changes more than elsewhere, so picture and mask belong together."""
    ratios = []
    dataset = SyntheticScenes("train", 12, 96)
    for index in range(12):
        picture, mask = dataset.arrays(index)
        step = np.abs(np.diff(picture.astype(float), axis=1, n=1)).mean(axis=2)
        border = (mask[:, 1:] == 255) | (mask[:, :-1] == 255)
        shuffled = np.roll(border, 48, axis=1)
        ratios.append(step[border].mean() / step[shuffled].mean())
    assert np.mean(ratios) > 1.5


def test_items_are_pairs_of_the_asked_size_and_can_be_read_without_labels():
    image, mask = SyntheticScenes("train", 1, [40, 64])[0]
    assert image.size == mask.size == (64, 40) and (image.mode, mask.mode) == ("RGB", "L")
    blind = SyntheticScenes("train", 1, 32, transforms=PairToTensor(), labelled=False)
    assert blind[0][1].unique().tolist() == [255] and blind.ids == ["00000.png"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"split": "vall"}, "Did you mean `val`"),
        ({"num_classes": 2}, "3 to 12 classes"),
        ({"num_classes": 13}, "3 to 12 classes"),
        ({"samples": 0}, "at least 1"),
        ({"size": [96, 16]}, "each side at least 32"),
        ({"size": [96, 96, 3]}, "give one side"),
    ],
)
def test_bad_arguments_are_refused_saying_what_is_allowed(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SyntheticScenes(**arguments)
    with pytest.raises(IndexError, match="no scene 3"):
        SyntheticScenes(samples=3).arrays(3)
