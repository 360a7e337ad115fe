"""Laws of the synthetic pictures."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from sc2_spic_plugin.datasets import SyntheticImages
from sc2_spic_plugin.datasets.synthetic import CLASSES
from sc2_spic_plugin.datasets.synthetic.textures import TEXTURES, texture
from sc2_spic_plugin.errors import ConfigError

GOLDEN = "802da40685e7bd6cc71730c50e49ec65be844872bc645a9bb67fb7c9a8c9be2a"


def test_the_pixels_are_the_same_on_every_machine():
    digest = hashlib.sha256()
    for split in ("train", "val", "test"):
        digest.update(SyntheticImages(split, samples_per_class=2, num_classes=10).stacked().tobytes())
    digest.update(SyntheticImages(samples_per_class=1, size=96, seed=7).pixels(3).tobytes())
    assert digest.hexdigest() == GOLDEN


def test_a_picture_depends_on_neither_the_count_nor_the_order_nor_the_number_of_classes():
    few, many = (
        SyntheticImages(samples_per_class=1, num_classes=4),
        SyntheticImages(samples_per_class=3, num_classes=10),
    )
    for index in reversed(range(len(few))):
        twin = many.ids.index(few.ids[index])
        assert np.array_equal(few.pixels(index), many.pixels(twin))


def test_no_picture_occurs_twice_across_splits_and_seeds():
    sets = [SyntheticImages(split, 2, seed=seed) for split in ("train", "val", "test") for seed in (0, 1)]
    pictures = {dataset.pixels(index).tobytes() for dataset in sets for index in range(len(dataset))}
    assert len(pictures) == sum(map(len, sets))


def test_every_leading_part_is_balanced_and_ids_name_the_class():
    dataset = SyntheticImages(samples_per_class=3, num_classes=6)
    assert dataset.targets == [0, 1, 2, 3, 4, 5] * 3 and len(set(dataset.ids)) == len(dataset) == 18
    assert dataset.classes == sorted(dataset.classes)
    assert [name.split("/")[0] for name in dataset.ids] == [dataset.classes[target] for target in dataset.targets]


@pytest.mark.parametrize("size", [16, 33, 64])
def test_pictures_have_the_asked_size_and_pass_through_the_transform(size):
    dataset = SyntheticImages("val", samples_per_class=1, size=size, transform=lambda image: (image.size, image.mode))
    assert dataset[0] == (((size, size), "RGB"), 0)
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_a_larger_picture_shows_the_same_scene():
    small, large = (SyntheticImages(samples_per_class=1, size=size).pixels(0) for size in (32, 128))
    reduced = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(small.astype(float) - reduced).mean() < 8  # of 255; soft edges and noise differ


def test_each_outline_has_two_classes_told_apart_by_texture_alone():
    outlines = [outline for outline, _ in CLASSES.values()]
    assert all(outlines.count(outline) == 2 for outline in outlines)
    assert sorted(surface for _, surface in CLASSES.values()) == sorted(TEXTURES)


@pytest.mark.parametrize("name", TEXTURES)
def test_no_texture_is_darker_or_stronger_than_another(name):
    fields = [texture(name, np.random.default_rng(seed), 64, (0.5, 0.5)) for seed in range(8)]
    assert abs(np.mean(fields)) < 0.1 and abs(np.std(fields) - 1) < 0.1


def test_colour_does_not_tell_the_class():
    train, test = SyntheticImages(samples_per_class=60, size=32), SyntheticImages("val", samples_per_class=30, size=32)
    features = []
    for dataset in (train, test):
        pixels = dataset.stacked().astype(float)
        middle = pixels[:, 12:20, 12:20].mean((1, 2))  # on the object
        features.append(np.concatenate([pixels.mean((1, 2)), middle], axis=1))
    one_hot = np.eye(8)[train.targets]
    squares = [np.concatenate([f, f**2 / 255, np.ones((len(f), 1))], axis=1) for f in features]
    weights = np.linalg.lstsq(squares[0], one_hot, rcond=None)[0]
    accuracy = np.mean((squares[1] @ weights).argmax(1) == test.targets)
    assert accuracy < 0.2  # chance is 0.125


def test_heavy_jpeg_removes_much_of_the_fine_detail_and_keeps_the_coarse_structure():
    dataset, kept = SyntheticImages(samples_per_class=2), []
    for index in range(len(dataset)):
        picture, buffer = Image.fromarray(dataset.pixels(index)), io.BytesIO()
        picture.save(buffer, "JPEG", quality=5, optimize=True)
        planes = [
            np.asarray(image.convert("L"), dtype=float).reshape(16, 4, 16, 4) for image in (picture, Image.open(buffer))
        ]
        means = [plane.mean((1, 3), keepdims=True) for plane in planes]
        details = [plane - mean for plane, mean in zip(planes, means, strict=True)]
        kept.append([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in (means, details)])
    coarse, fine = np.mean(kept, axis=0)
    assert coarse > 0.9 and fine < 0.7, (coarse, fine)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "vla"}, "Did you mean `val`"),
        ({"num_classes": 11}, "2 to 10 classes"),
        ({"samples_per_class": 0}, "at least 1"),
        ({"size": 8}, "at least 16"),
    ],
)
def test_bad_arguments_are_refused_saying_what_is_allowed(arguments, message):
    with pytest.raises(ConfigError, match=message):
        SyntheticImages(**arguments)
