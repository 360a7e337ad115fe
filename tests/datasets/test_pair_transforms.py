"""Laws of joint transforms: image and mask stay together, labels stay labels, what is added is void."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from sc2_spic_plugin.datasets import (
    PairCenterCrop,
    PairCompose,
    PairNormalize,
    PairRandomCrop,
    PairRandomHorizontalFlip,
    PairRandomResize,
    PairResize,
    PairToTensor,
    SyntheticScenes,
    spic_pair_collate,
)
from sc2_spic_plugin.errors import ConfigError, DataError

SIDES = st.integers(1, 40)


def matched_pair(height: int, width: int) -> tuple[Image.Image, Image.Image]:
    """An image that says in its red channel what its mask says; labels from 1 to 250."""
    values = np.random.default_rng(height * 100 + width).integers(1, 251, (height, width), dtype=np.uint8)
    return Image.fromarray(np.stack([values] * 3, axis=-1)), Image.fromarray(values)


def still_matched(image: Image.Image, mask: Image.Image) -> bool:
    """Whether the mask still says what the image does; where pixels were added, image 0 and mask void."""
    red, labels = np.asarray(image)[..., 0], np.asarray(mask)
    return np.array_equal(np.where(red == 0, 255, red), labels)


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, SIDES, SIDES, st.booleans())
def test_crops_and_flips_move_image_and_mask_alike(height, width, crop_height, crop_width, random):
    size = [crop_height, crop_width]
    crop = PairRandomCrop(size) if random else PairCenterCrop(size)
    image, mask = PairCompose([PairRandomHorizontalFlip(), crop])(*matched_pair(height, width))
    assert image.size == mask.size == (crop_width, crop_height)
    assert still_matched(image, mask)
    kept = min(height, crop_height) * min(width, crop_width)
    assert (np.asarray(mask) != 255).sum() == kept


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, SIDES, SIDES)
def test_images_are_resized_and_cropped_as_torchvision_does(height, width, size, crop):
    image, mask = matched_pair(height, width)
    resized, labels = PairResize(size)(image, mask)
    assert np.array_equal(resized, Resize(size)(image))
    longer, shorter = max(height, width), min(height, width)
    assert sorted(labels.size) == sorted((size, int(size * longer / shorter)))
    assert set(np.unique(labels)) <= set(np.unique(mask))
    assert np.array_equal(PairCenterCrop(crop)(resized, labels)[0], CenterCrop(crop)(resized))


def test_a_nearest_resize_of_both_keeps_them_matched():
    for transform in (
        PairResize([9, 31], interpolation="nearest"),
        PairRandomResize(5, 50, interpolation=InterpolationMode.NEAREST),
        PairRandomResize(scale=[0.5, 2.0], interpolation="nearest"),
    ):
        assert still_matched(*transform(*matched_pair(20, 30)))


def test_random_sizes_cover_their_range_and_nothing_else():
    pair = matched_pair(20, 30)
    assert {min(PairRandomResize(7, 10)(*pair)[0].size) for _ in range(100)} == {7, 8, 9, 10}
    assert {min(PairRandomResize(7)(*pair)[0].size) for _ in range(5)} == {7}
    scaled = {min(PairRandomResize(scale=(0.5, 0.7))(*pair)[0].size) for _ in range(200)}
    assert scaled == {10, 11, 12, 13, 14}
    corners = {np.asarray(PairRandomCrop(20)(*pair)[1])[0, 0] for _ in range(200)}
    assert corners == set(np.asarray(pair[1])[0, :11])
    assert {PairRandomHorizontalFlip(p)(*pair)[1].tobytes() for p in (1.0, 0.0)} == {
        pair[1].tobytes(),
        pair[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes(),
    }


def test_the_seed_of_torch_alone_decides_what_is_random():
    train = PairCompose([PairRandomResize(20, 40), PairRandomCrop(24), PairRandomHorizontalFlip(), PairToTensor()])
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(train(*matched_pair(30, 50))[1])
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_tensors_hold_the_pixels_and_labels_and_codecs_get_the_pil_image():
    image, mask = matched_pair(4, 6)
    pixels, labels = PairToTensor()(image, mask)
    assert pixels.shape == (3, 4, 6) and pixels.dtype == torch.float32 and labels.dtype == torch.int64
    assert np.array_equal(labels, mask) and torch.equal((pixels[0] * 255).round().long(), labels)
    kept, labels = PairToTensor(converts_image=False)(image, mask)
    assert kept is image and labels.shape == (4, 6)
    normal, same = PairNormalize([0.5] * 3, [0.25] * 3)(pixels, labels)
    assert torch.allclose(normal, (pixels - 0.5) / 0.25) and same is labels


def test_palette_masks_keep_their_indices_through_every_step():
    image, mask = matched_pair(8, 8)
    palette = Image.frombytes("P", mask.size, mask.tobytes())
    palette.putpalette([3] * 768)
    for step in (PairResize(8), PairCenterCrop(12), PairRandomCrop(12), PairRandomHorizontalFlip(0.0), PairToTensor()):
        assert np.array_equal(np.asarray(step(image, palette)[1]), np.asarray(step(image, mask)[1]))


def test_steps_say_what_an_evaluation_must_know_of_them_and_can_be_pickled():
    steps = PairCompose([PairResize(513), PairCenterCrop(513), PairToTensor()])
    resize, crop, _ = pickle.loads(pickle.dumps(steps)).transforms  # noqa: S301 - our own bytes
    assert (resize.size, resize.interpolation, tuple(crop.size)) == (513, InterpolationMode.BILINEAR, (513, 513))
    assert PairResize([3, 4]).size == [3, 4]


def test_steps_in_the_wrong_order_or_with_bad_arguments_are_refused():
    pair = matched_pair(4, 4)
    with pytest.raises(ConfigError, match="before `PairToTensor`"):
        PairResize(4)(*PairToTensor()(*pair))
    with pytest.raises(ConfigError, match="after `PairToTensor`"):
        PairNormalize([0.5] * 3, [0.5] * 3)(*pair)
    with pytest.raises(DataError, match="holds colours"):
        PairCenterCrop(4)(pair[0], pair[0])
    with pytest.raises(ConfigError, match="Did you mean `bilinear`"):
        PairResize(4, interpolation="bilinaer")
    for size in (0, [3, 4, 5], [2.5]):
        with pytest.raises(ConfigError, match="give one side"):
            PairRandomCrop(size)
    for arguments in ({}, {"min_size": 4, "scale": [1, 2]}, {"max_size": 4}):
        with pytest.raises(ConfigError, match="either `min_size`"):
            PairRandomResize(**arguments)
    with pytest.raises(ConfigError, match="must rise"):
        PairRandomResize(8, 4)
    with pytest.raises(ConfigError, match="probability"):
        PairRandomHorizontalFlip(2.0)


def test_a_batch_of_unequal_pairs_is_enlarged_with_zeros_and_void():
    batch = [PairToTensor()(*matched_pair(*size)) for size in ((4, 9), (7, 5))]
    images, masks = spic_pair_collate(batch)
    assert images.shape == (2, 3, 7, 9) and masks.shape == (2, 7, 9) and masks.dtype == torch.int64
    for (image, mask), whole_image, whole_mask in zip(batch, images, masks, strict=True):
        height, width = mask.shape
        assert torch.equal(whole_image[:, :height, :width], image) and torch.equal(whole_mask[:height, :width], mask)
        assert int((whole_mask == 255).sum()) == 63 - height * width == int((whole_image[0] == 0).sum())


def test_a_batch_keeps_pil_images_and_extra_dicts_apart_for_the_host():
    to_labels = PairToTensor(converts_image=False)
    items = [(*to_labels(*matched_pair(4, 4)), {"id": number}) for number in range(2)]
    images, masks, extra = spic_pair_collate(items)
    assert isinstance(images, list) and images[1] is items[1][0] and masks.shape == (2, 4, 4)
    assert extra == ({"id": 0}, {"id": 1})
    assert torch.utils.data.default_collate(extra)["id"].tolist() == [0, 1]
    with pytest.raises(ConfigError, match="end the data set's `transforms` with `PairToTensor`"):
        spic_pair_collate([matched_pair(4, 4)])


def test_a_loader_gives_whole_batches_with_workers():
    transforms = PairCompose([PairResize(40), PairRandomCrop(32), PairToTensor()])
    dataset = SyntheticScenes("val", 4, [32, 48], transforms=transforms)
    batches = []
    for _ in range(2):
        torch.manual_seed(3)
        loader = DataLoader(dataset, batch_size=2, num_workers=1, collate_fn=spic_pair_collate)
        batches.append([masks for _, masks in loader])
    assert [tuple(masks.shape) for masks in batches[0]] == [(2, 32, 32)] * 2
    assert all(torch.equal(*pair) for pair in zip(*batches, strict=True))
