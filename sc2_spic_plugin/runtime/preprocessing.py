"""From a picture to a network's input, described in JSON and done with Pillow and torch alone, bit for bit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import CheckpointError, ConfigError

__all__ = ["describe_transform", "prepare"]

Step = dict[str, Any]

_PACKAGES = ("torchvision.transforms.transforms", "sc2_spic_plugin.datasets.")
"""Where the transforms are from that a step stands for; v1 of torchvision, and ours on pairs."""


def prepare(picture: Image.Image, steps: Sequence[Step]) -> Tensor:
    """Returns a picture as the network takes it, (3, H, W).

    Args:
        picture: in any mode; the network sees RGB.
        steps: `{"kind": "resize", "size": 256, "interpolation": "bilinear", "max_size": null}` (the shorter side, or
            [height, width]), `{"kind": "center_crop", "size": [224, 224]}`, `{"kind": "to_tensor"}`,
            `{"kind": "normalize", "mean": [...], "std": [...]}`.

    Raises:
        CheckpointError: the steps are none that can be done.
    """
    value: Any = picture.convert("RGB")
    try:
        for step in steps:
            value = _STEPS[step["kind"]](value, **{key: item for key, item in step.items() if key != "kind"})
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"the preprocessing {steps} cannot be done ({error!r}); export the model again."
        ) from error
    if not isinstance(value, Tensor):
        raise CheckpointError(f"the preprocessing {steps} makes no tensor; export the model again.")
    return value


def _resize(
    picture: Image.Image, size: int | Sequence[int], interpolation: str, max_size: int | None = None
) -> Image.Image:
    if isinstance(size, int):
        short, long = sorted(picture.size)
        new_short, new_long = size, int(size * long / short)
        if max_size is not None and new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
        width, height = (new_short, new_long) if picture.width <= picture.height else (new_long, new_short)
    else:
        height, width = size
    if (width, height) == picture.size:
        return picture
    return picture.resize((width, height), Image.Resampling[interpolation.upper()])


def _center_crop(picture: Image.Image, size: Sequence[int]) -> Image.Image:
    height, width = size
    if width > picture.width or height > picture.height:  # black around what is too small
        missing_x, missing_y = max(width - picture.width, 0), max(height - picture.height, 0)
        padded = Image.new(picture.mode, (picture.width + missing_x, picture.height + missing_y))
        padded.paste(picture, (missing_x // 2, missing_y // 2))
        picture = padded
    left, top = round((picture.width - width) / 2.0), round((picture.height - height) / 2.0)
    return picture.crop((left, top, left + width, top + height))


def _to_tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


def _normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    of_channels = [torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (mean, std)]
    return tensor.sub(of_channels[0]).div(of_channels[1])


_STEPS: dict[str, Callable[..., Any]] = {
    "resize": _resize,
    "center_crop": _center_crop,
    "to_tensor": _to_tensor,
    "normalize": _normalize,
}


def describe_transform(transform: Any) -> list[Step]:
    """Returns the steps that stand for a transform of torchvision, or of this package's on pairs of image and mask.

    Args:
        transform: `Compose` of `Resize`, `CenterCrop`, `ToTensor` and `Normalize`, or the same with `Pair` before.

    Raises:
        ConfigError: another transform is among them.
    """
    return [_described(step) for step in _single(transform)]


def _single(transform: Any) -> Iterator[Any]:
    if type(transform).__name__ in ("Compose", "PairCompose"):
        for step in transform.transforms:
            yield from _single(step)
    else:
        yield transform


def _described(step: Any) -> Step:
    kind = type(step).__name__.removeprefix("Pair")
    if not type(step).__module__.startswith(_PACKAGES) or kind not in _DESCRIBED:
        raise ConfigError(f"`{type(step).__name__}` is no step that an exported half can do on its own.")
    return _DESCRIBED[kind](step)


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def _size(size: Any, of_square: bool) -> int | list[int]:
    """Returns one side, or [height, width]; one side alone is both if it is of a square."""
    sides = [size] if isinstance(size, int) else [int(side) for side in size]
    if len(sides) == 2:
        return sides
    return sides * 2 if of_square else sides[0]


def _described_resize(step: Any) -> Step:
    exact = step.interpolation.value == "nearest-exact"  # the same to Pillow
    return {
        "kind": "resize",
        "size": _size(step.size, of_square=False),
        "interpolation": "nearest" if exact else step.interpolation.value,
        "max_size": getattr(step, "max_size", None),
    }


_DESCRIBED: Mapping[str, Callable[[Any], Step]] = {
    "Resize": _described_resize,
    "CenterCrop": lambda step: {"kind": "center_crop", "size": _size(step.size, of_square=True)},
    "ToTensor": lambda step: {"kind": "to_tensor"},
    "Normalize": lambda step: {"kind": "normalize", "mean": _numbers(step.mean), "std": _numbers(step.std)},
}
