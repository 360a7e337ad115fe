"""Measuring one model on the reported images: accuracy of what was decoded, and the bytes it took."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..analyzers import SpicSizeAnalyzer
from ..errors import DataError
from .classification_metric import ClassificationMetric
from .evaluation import Evaluation, Metric
from .protocol import Protocol
from .segmentation_metric import SegmentationMetric

__all__ = ["Evaluation", "build_metric", "evaluate"]


def build_metric(protocol: Protocol, classes: Sequence[str] = ()) -> Metric:
    """Returns what scores a model under a protocol.

    Args:
        protocol: says the task, and how absent classes count.
        classes: class names of the reported data set, for segmentation.
    """
    if protocol.task == "segmentation":
        return SegmentationMetric(classes, protocol.absent_classes)
    return ClassificationMetric()


def _coder_of(model: nn.Module) -> Any:
    """Returns the module that hands what it compressed to analyzers, or None."""
    from sc2bench.analysis import AnalyzableModule
    from sc2bench.models.segmentation.base import BaseSegmentationModel

    coder = model.backbone if isinstance(model, BaseSegmentationModel) else model
    return coder if isinstance(coder, AnalyzableModule) else None


@contextlib.contextmanager
def _measuring(model: nn.Module, pixels: tuple[int, int] | None) -> Iterator[SpicSizeAnalyzer]:
    """Makes the model code into real bytes and hands every compressed object to one fresh analyzer."""
    from sc2bench.models.backbone import UpdatableBackbone
    from sc2bench.models.segmentation.base import UpdatableSegmentationModel

    analyzer = SpicSizeAnalyzer(image_size=pixels)
    coder = _coder_of(model)
    if coder is None:
        yield analyzer
        return
    if isinstance(coder, UpdatableBackbone | UpdatableSegmentationModel) and not coder.bottleneck_updated:
        coder.update()
    own, own_flag = coder.analyzers, getattr(coder, "analyzes_after_compress", None)
    was_active = coder.activated_analysis
    coder.analyzers = [analyzer]
    if own_flag is not None:
        coder.analyzes_after_compress = True
    coder.activate_analysis()
    try:
        yield analyzer
    finally:
        coder.activated_analysis = was_active
        coder.analyzers = own
        if own_flag is not None:
            coder.analyzes_after_compress = own_flag


def _own_pixels(batch: Any) -> list[int]:
    """Returns the pixels of each image of a batch: a tensor of one image, or PIL images.

    Raises:
        DataError: a tensor of several, which may have been enlarged to one size.
    """
    if not isinstance(batch, Tensor):
        return [image.width * image.height for image in batch]
    if len(batch) != 1:
        raise DataError(
            "images that differ in size are enlarged to make a batch, which costs bits; use a test batch of 1, or a "
            "protocol with a fixed `denominator`."
        )
    return [batch.shape[-2] * batch.shape[-1]]


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Any, Tensor]],
    images: Sequence[str],
    pixels: tuple[int, int] | None,
    device: torch.device,
    report: Callable[[int], None] = lambda _images: None,
    metric: Metric | None = None,
) -> Evaluation:
    """Evaluates a model image by image; a model that codes does so with real bytes.

    Args:
        model: any classifier or segmentation model of the hosts or of this package.
        batches: pairs of images and targets (labels or masks), in the order of `images`.
        images: ids of the images.
        pixels: (height, width) that bits are divided by: the protocol's denominator; None: each image's own size.
        device: where to run.
        report: called with the number of images done.
        metric: what scores the outputs (`build_metric`); by default classification's.

    Raises:
        DataError: no image, an image left out, or targets that cannot be scored.
    """
    model.to(device).eval()
    metric = metric or ClassificationMetric()
    count = 0
    pixel_counts: list[int] = []
    with _measuring(model, pixels) as analyzer:
        for batch, targets in batches:
            pixel_counts += _own_pixels(batch) if pixels is None else [pixels[0] * pixels[1]] * len(targets)
            output = model(batch.to(device) if isinstance(batch, Tensor) else batch)
            count += metric.update(output, targets)
            report(count)
    if not count:
        raise DataError("there was no image to evaluate; check the data set's folder.")
    if count != len(images):
        raise DataError(f"{count} of {len(images)} images were evaluated; set `drop_last: False` and no sampling.")
    sizes = analyzer.images
    if sizes and len(sizes) != count:
        raise DataError(f"{count} images were decoded but {len(sizes)} were measured; use a test batch of 1.")
    return metric.evaluation(list(images), sizes, pixel_counts)
