"""Steps that an exported half does on its own equal the transforms that they stand for, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from half_parts import STEPS
from PIL import Image
from torchvision import transforms

from sc2_spic_plugin.datasets import PairCenterCrop, PairCompose, PairNormalize, PairResize, PairToTensor
from sc2_spic_plugin.errors import CheckpointError, ConfigError, DataError
from sc2_spic_plugin.ops.pictures import read_image
from sc2_spic_plugin.runtime import describe_transform, prepare

STATISTICS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PICTURES = [(64, 48), (48, 64), (33, 33), (20, 90), (91, 23), (7, 5)]
GEOMETRIES: dict[str, list[Any]] = {
    "shorter side and middle": [transforms.Resize(40), transforms.CenterCrop(32)],
    "both sides": [transforms.Resize((24, 50))],
    "the longer side is limited": [transforms.Resize([30], max_size=41), transforms.CenterCrop([32])],
    "bicubic": [transforms.Resize(37, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop((31, 44))],
    "nearest": [transforms.Resize(29, transforms.InterpolationMode.NEAREST)],
    "nearest, exactly": [transforms.Resize(29, transforms.InterpolationMode.NEAREST_EXACT)],
    "as it is": [],
}


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_steps_equal_the_transforms_of_torchvision(geometry: str) -> None:
    nested = transforms.Compose(GEOMETRIES[geometry])
    transform = transforms.Compose([nested, transforms.ToTensor(), transforms.Normalize(**STATISTICS)])
    steps = describe_transform(transform)
    for size in PICTURES:
        assert torch.equal(prepare(picture(*size), steps), transform(picture(*size)))


def test_steps_equal_the_transforms_of_pairs() -> None:
    parts = [PairResize(40), PairCenterCrop([32, 48]), PairToTensor(), PairNormalize(**STATISTICS)]
    steps = describe_transform(PairCompose(parts))
    assert [step["kind"] for step in steps] == [step["kind"] for step in STEPS]
    for width, height in PICTURES:
        tensor, _ = PairCompose(parts)(picture(width, height), Image.new("L", (width, height)))
        assert torch.equal(prepare(picture(width, height), steps), tensor)


def test_a_grey_picture_is_prepared_as_rgb() -> None:
    grey = picture(20, 30).convert("L")
    steps = describe_transform(transforms.Compose([transforms.Resize(8), transforms.ToTensor()]))
    assert torch.equal(prepare(grey, steps), prepare(grey.convert("RGB"), steps))


def test_other_transforms_are_not_described() -> None:
    class Resize:  # a name alone says nothing
        size = 3

    for transform in (transforms.RandomCrop(8), Resize(), transforms.GaussianBlur(3), None):
        with pytest.raises(ConfigError, match="is no step that an exported half can do on its own"):
            describe_transform(transforms.Compose([transform, transforms.ToTensor()]))


@pytest.mark.parametrize(
    "steps",
    [[{"kind": "rotate"}], [{"kind": "resize"}], [{"size": 3}], [{"kind": "to_tensor"}, STEPS[0]], STEPS[:2],
     [{"kind": "resize", "size": 8, "interpolation": "best"}], [{"kind": "center_crop", "size": "8"}]],
)  # fmt: skip
def test_steps_that_cannot_be_done_are_refused(steps: list[dict[str, Any]]) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be done|makes no tensor"):
        prepare(picture(9, 9), steps)


def test_pictures_of_any_mode_become_rgb_and_others_are_refused(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "CMYK"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        picture(8, 6).convert(mode).save(path)
        assert read_image(path).mode == "RGB"
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png` cannot be read .*replace or remove it"):
        read_image(tmp_path / "text.png")
    with pytest.raises(DataError, match=r"no image at .*absent\.png"):
        read_image(tmp_path / "absent.png")
