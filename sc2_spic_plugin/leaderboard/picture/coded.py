"""One image through the original network, and through a model's real bytes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...analyzers import ImageSizes, SpicSizeAnalyzer
from ...errors import ConfigError
from ...models import SplitModel
from ...models.crossing import run_front_end

__all__ = ["CodedOutput", "code_image"]


class CodedOutput(NamedTuple):
    """Outputs for one image and what was sent for it.

    Attributes:
        before: the original network's: probabilities (classes,) or a label map (H, W).
        after: the same, from decoded bytes.
        sizes: of what was sent.
    """

    before: NDArray[np.generic]
    after: NDArray[np.generic]
    sizes: ImageSizes


@torch.inference_mode()
def code_image(model: nn.Module, original: nn.Module | None, image: Tensor) -> CodedOutput:
    """Runs an image (1, 3, H, W) through both; the model is made ready to code.

    Args:
        model: a SPIC model, whose halves are the original network, or another of the hosts' that sends bytes.
        original: the network that another model is compared with.
        image: on the models' device.

    Raises:
        ConfigError: a model without an original network, or one that sends no bytes.
        TableError: a SPIC model whose tables were never counted.
    """
    coding: Any = model.eval()
    if isinstance(model, SplitModel):
        features, crossing = run_front_end(model.front_end, image)
        before = model.run_back_end(features.clone(), crossing)
    elif original is not None:
        before = original.eval()(image)
    else:
        raise ConfigError(
            "this config has no original network to compare with: SPIC models can be shown, and other models that "
            "send bytes if the config has a `teacher_model`."
        )
    analyzer = SpicSizeAnalyzer()
    if hasattr(coding, "activate_analysis") and hasattr(coding, "update"):
        coding.update()
        coding.analyzers, coding.analyzes_after_compress = [analyzer], True
        coding.activate_analysis()
    after = coding(image)
    if len(analyzer.images) != 1:
        raise ConfigError("the model of this config sends no bytes, so there is no payload to show.")
    return CodedOutput(_answer(before), _answer(after), analyzer.images[0])


def _answer(output: Any) -> NDArray[np.generic]:
    """Returns probabilities (classes,) of a classifier's output for one image, or a segmenter's label map (H, W)."""
    scores = output["out"] if isinstance(output, Mapping) else output
    if scores.dim() == 4:
        return np.asarray(scores[0].argmax(dim=0).cpu().numpy())
    return np.asarray(scores[0].float().softmax(dim=0).cpu().numpy())
