"""Image codecs on the input of the original network, through sc2bench's wrappers."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ...datasets import PairCompose, PairNormalize, PairToTensor
from ...leaderboard import CodedImage
from ...training.build import BuiltConfig

__all__ = ["coded_images", "coding_model"]


def coding_model(transmit: Callable[[Image.Image], CodedImage], built: BuiltConfig, dataset: Any) -> nn.Module:
    """Returns sc2bench's model that codes PIL images, decodes them and gives them to the network of `built`."""
    from sc2bench.models.segmentation.wrapper import CodecInputCompressionSegmentationModel
    from sc2bench.models.wrapper import CodecInputCompressionClassifier
    from torchvision.transforms import Compose, Normalize, ToTensor

    if built.task == "classification":
        return CodecInputCompressionClassifier(
            built.model,
            built.device,
            codec_encoder_decoder=transmit,
            post_transform=Compose(_from(dataset.transform.transforms, ToTensor)),
        )
    steps = _from(dataset.transforms.transforms, PairToTensor)[1:]
    after = [Normalize(step.mean, step.std) for step in steps if isinstance(step, PairNormalize)]
    return CodecInputCompressionSegmentationModel(
        built.model, built.device, codec_encoder_decoder=transmit, post_transform=Compose([ToTensor(), *after])
    )


def coded_images(built: BuiltConfig, dataset: Any) -> Iterator[tuple[list[Any], Tensor]]:
    """Yields each image of a data set prepared but not yet a tensor, and its label or mask, as batches of one."""
    from torchvision.transforms import Compose, ToTensor

    dataset = copy.copy(dataset)
    if built.task == "classification":
        dataset.transform = Compose(_before(dataset.transform.transforms, ToTensor))
    else:
        steps = _before(dataset.transforms.transforms, PairToTensor)
        dataset.transforms = PairCompose([*steps, PairToTensor(converts_image=False)])
    for index in range(len(dataset)):
        image, target = dataset[index]
        yield [image], torch.as_tensor(target)[None]


def _position(steps: list[Any], kind: type) -> int:
    return next(index for index, step in enumerate(steps) if isinstance(step, kind))


def _before(steps: list[Any], kind: type) -> list[Any]:
    return steps[: _position(steps, kind)]


def _from(steps: list[Any], kind: type) -> list[Any]:
    return steps[_position(steps, kind) :]
