"""What crosses from front-end to back-end beside the features: sizes of the image, and tensors past a bypassed cut."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..runtime.received_batch import TOO_LARGE, are_too_large
from .arguments import example_input

__all__ = ["Crossing", "CrossingPlan", "run_front_end"]

Crossing = tuple[int | Tensor, ...]
"""Sizes as integers, and tensors if the cut is bypassed, in the order in which the back-end takes them."""


@torch.no_grad()
def run_front_end(front_end: nn.Module, image: Tensor) -> tuple[Tensor, Crossing]:
    """Returns the features (B, C, H, W) of images and what crosses with them."""
    result = front_end(image)
    return (result[0], tuple(result[1:])) if isinstance(result, tuple) else (result, ())


class CrossingPlan:
    """Which sizes travel in a payload, in which order, and how large they are at the default input size.

    Args:
        front_end: a frozen front-end.
        crossing: what crossed for some image.
        input_size: (channels, height, width) of the images whose sizes are the default.
    """

    def __init__(self, front_end: nn.Module, crossing: Crossing, input_size: Sequence[int]) -> None:
        self.are_sizes = tuple(not isinstance(item, Tensor) for item in crossing)
        shapes = {name: tensor.to("meta") for name, tensor in front_end.named_buffers()}  # shapes alone: no computing
        image = example_input(input_size)
        try:
            result = functional_call(front_end, shapes, (image.to("meta"),))
        except (RuntimeError, NotImplementedError):  # it makes a tensor on a device of its own choice
            with torch.no_grad():
                result = front_end(image.to(next((each.device for each in front_end.buffers()), image.device)))
        features, *items = result if isinstance(result, tuple) else (result,)
        self.feature_size: tuple[int, int] = (features.shape[2], features.shape[3])
        self.default_sizes: tuple[int, ...] = (*self.feature_size, *self.sizes(items))

    @property
    def tensors(self) -> int:
        """How many tensors cross uncoded."""
        return self.are_sizes.count(False)

    def sizes(self, crossing: Sequence[int | Tensor]) -> tuple[int, ...]:
        """Returns the sizes among what crosses."""
        return tuple(int(item) for item in crossing if not isinstance(item, Tensor))

    def joined(self, sizes: Sequence[int], bypass: Sequence[Tensor]) -> Crossing:
        """Puts sizes and bypassing tensors in the order in which the back-end takes them."""
        remaining: dict[bool, Iterator[int | Tensor]] = {True: iter(sizes), False: iter(bypass)}
        return tuple(next(remaining[is_size]) for is_size in self.are_sizes)

    def refuses(self, sizes: Sequence[int]) -> bool:
        """Says whether a receiver refuses these sizes, so that a damaged header cannot ask for all memory."""
        return are_too_large(sizes, self.default_sizes)

    def refusal(self, height: int, width: int) -> str:
        """Returns what to tell a sender of images of this size that are refused."""
        return (
            f"images of {height}x{width} are {TOO_LARGE} as `input_size`, which no receiver "
            "accepts; code them in parts or raise `input_size`."
        )
