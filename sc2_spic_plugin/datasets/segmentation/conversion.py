"""Joint transforms that chain others and turn pairs into tensors; the geometry of a pair stays as it is."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import functional

from ...errors import ConfigError
from .masks import index_mask
from .pair_dataset import PairTransform

__all__ = ["PairCompose", "PairNormalize", "PairToTensor", "as_pil_pair"]


def as_pil_pair(image: Any, mask: Any, step: object) -> tuple[Image.Image, Image.Image]:
    """Returns the pair with the mask in mode L.

    Args:
        image: a PIL image.
        mask: a PIL image of labels.
        step: the transform that asks, for the message.

    Raises:
        ConfigError: one of them is not a PIL image any more.
        DataError: the mask is of a kind that holds no labels.
    """
    if not isinstance(image, Image.Image) or not isinstance(mask, Image.Image):
        raise ConfigError(
            f"`{type(step).__name__}` was given {type(image).__name__} and {type(mask).__name__}; it works on PIL "
            "images, so put it before `PairToTensor`."
        )
    return image, mask if mask.mode == "L" else Image.fromarray(index_mask(mask))


class PairCompose:
    """Applies joint transforms one after the other.

    The YAML that builds it, here the preparation of the published results:

        val_transforms: &val_transforms !import_call
          key: 'sc2_spic_plugin.datasets.PairCompose'
          init:
            kwargs:
              transforms:
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairResize'
                  init:
                    kwargs:
                      size: 513
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairCenterCrop'
                  init:
                    kwargs:
                      size: 513
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairToTensor'
                  init:
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairNormalize'
                  init:
                    kwargs:
                      mean: [0.485, 0.456, 0.406]
                      std: [0.229, 0.224, 0.225]
    """

    def __init__(self, transforms: Iterable[PairTransform]) -> None:
        """Keeps the transforms in order."""
        self.transforms = list(transforms)

    def __call__(self, image: Any, mask: Any) -> tuple[Any, Any]:
        """Returns the pair after all transforms."""
        for transform in self.transforms:
            image, mask = transform(image, mask)
        return image, mask

    def __repr__(self) -> str:
        """Returns the steps."""
        return f"{type(self).__name__}({self.transforms!r})"


class PairToTensor:
    """Turns an image into floats (3, H, W) between 0 and 1, and its mask into int64 labels (H, W)."""

    def __init__(self, converts_image: bool = True) -> None:
        """Says what to convert.

        Args:
            converts_image: False keeps the PIL image, for codecs; the mask is converted all the same.
        """
        self.converts_image = converts_image

    def __call__(self, image: Any, mask: Any) -> tuple[Any, torch.Tensor]:
        """Returns the pair as tensors.

        Raises:
            ConfigError: the pair is not of PIL images.
        """
        image, mask = as_pil_pair(image, mask, self)
        labels = torch.from_numpy(index_mask(mask)).to(torch.int64)
        return (functional.to_tensor(image) if self.converts_image else image), labels

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(converts_image={self.converts_image})"


class PairNormalize:
    """Subtracts the mean and divides by the deviation, per channel; the mask stays as it is."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keeps mean and deviation, one number per channel."""
        self.mean, self.std = list(mean), list(std)

    def __call__(self, image: Any, mask: Any) -> tuple[torch.Tensor, Any]:
        """Returns the normalised image and the mask.

        Raises:
            ConfigError: the image is no tensor yet.
        """
        if not isinstance(image, torch.Tensor):
            raise ConfigError("`PairNormalize` works on tensors; put it after `PairToTensor`.")
        return functional.normalize(image, self.mean, self.std), mask

    def __repr__(self) -> str:
        """Returns the arguments."""
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"
