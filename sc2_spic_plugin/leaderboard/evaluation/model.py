"""Measuring one model on the reported images: accuracy of what was decoded, and the bytes it took."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...analyzers import SpicSizeAnalyzer
from ...errors import DataError
from ...models import SplitModel
from ...ops.ranks import gathered, world_size
from ..protocol import Protocol
from .classification_metric import ClassificationMetric
from .metric import Evaluation, Metric
from .segmentation_metric import SegmentationMetric

__all__ = ["Evaluation", "build_metric", "evaluate", "evaluate_units"]


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
def _measuring(model: nn.Module) -> Iterator[Any]:
    """Makes the model code into real bytes; gives the module that hands what it compressed to analyzers, or None."""
    from sc2bench.models.backbone import UpdatableBackbone
    from sc2bench.models.segmentation.base import UpdatableSegmentationModel

    coder = _coder_of(model)
    if coder is None:
        yield None
        return
    if isinstance(coder, UpdatableBackbone | UpdatableSegmentationModel) and not coder.bottleneck_updated:
        coder.update()
    own, own_flag = coder.analyzers, getattr(coder, "analyzes_after_compress", None)
    was_active = coder.activated_analysis
    if own_flag is not None:
        coder.analyzes_after_compress = True
    coder.activate_analysis()
    try:
        yield coder
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


class _Score:
    """What is gathered about one operating point while images pass."""

    def __init__(self, metric: Metric, pixels: tuple[int, int] | None) -> None:
        self.metric, self.analyzer, self.count = metric, SpicSizeAnalyzer(image_size=pixels), 0

    def extend(self, later: "_Score") -> None:
        """Adds what was gathered about later images."""
        self.metric.extend(later.metric)
        self.analyzer.images += later.analyzer.images
        self.count += later.count

    def evaluation(self, images: Sequence[str], pixel_counts: list[int]) -> Evaluation:
        """Returns what was measured on all images."""
        if not self.count:
            raise DataError("there was no image to evaluate; check the data set's folder.")
        if self.count != len(images):
            raise DataError(
                f"{self.count} of {len(images)} images were evaluated; set `drop_last: False` and no sampling."
            )
        sizes = self.analyzer.images
        if sizes and len(sizes) != self.count:
            raise DataError(f"{self.count} images were decoded but {len(sizes)} were measured; use a test batch of 1.")
        return self.metric.evaluation(list(images), sizes, pixel_counts)


@torch.inference_mode()
def _evaluate(
    model: nn.Module,
    answers: Callable[[Any], Iterator[tuple[str, Any]]],
    scores: Mapping[str, _Score],
    batches: Iterable[tuple[Any, Tensor]],
    images: Sequence[str],
    pixels: tuple[int, int] | None,
    device: torch.device,
    report: Callable[[int], None],
) -> dict[str, Evaluation]:
    model.to(device).eval()
    pixel_counts: list[int] = []
    with _measuring(model) as coder:
        for batch, targets in batches:
            pixel_counts += _own_pixels(batch) if pixels is None else [pixels[0] * pixels[1]] * len(targets)
            outputs = answers(batch.to(device) if isinstance(batch, Tensor) else batch)
            for score in scores.values():  # in the order of the answers, each computed when it is asked for
                if coder is not None:
                    coder.analyzers = [score.analyzer]
                score.count += score.metric.update(next(outputs)[1], targets)
            report(len(pixel_counts))
    if world_size() > 1:
        scores, pixel_counts = _of_all_ranks(scores, pixel_counts)
    return {name: score.evaluation(images, pixel_counts) for name, score in scores.items()}


def _of_all_ranks(scores: Mapping[str, _Score], pixel_counts: list[int]) -> tuple[Mapping[str, _Score], list[int]]:
    """Joins what each process gathered about its images, in the order of ranks; every process has the whole."""
    (joined, all_counts), *others = gathered((dict(scores), pixel_counts))
    for theirs, counts in others:
        for name, score in joined.items():
            score.extend(theirs[name])
        all_counts += counts
    return joined, all_counts


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

    Several processes each give the batches of a contiguous part of the images, in the order of ranks; all return what
    was measured on all images.

    Args:
        model: any classifier or segmentation model of the hosts or of this package; a bank answers with its active
            unit.
        batches: pairs of images and targets (labels or masks), in the order of `images`.
        images: ids of the images.
        pixels: (height, width) that bits are divided by: the protocol's denominator; None: each image's own size.
        device: where to run.
        report: called with the number of images done, in this process.
        metric: what scores the outputs (`build_metric`); by default classification's.

    Raises:
        DataError: no image, an image left out, or targets that cannot be scored.
    """
    scores = {"": _Score(metric or ClassificationMetric(), pixels)}

    def answers(batch: Any) -> Iterator[tuple[str, Any]]:
        yield "", model(batch)

    return _evaluate(model, answers, scores, batches, images, pixels, device, report)[""]


def evaluate_units(
    model: SplitModel,
    batches: Iterable[tuple[Any, Tensor]],
    images: Sequence[str],
    pixels: tuple[int, int] | None,
    device: torch.device,
    report: Callable[[int], None] = lambda _images: None,
    build: Callable[[], Metric] = ClassificationMetric,
) -> dict[str, Evaluation]:
    """Evaluates every unit of a bank from one pass of the front-end; arguments and errors are those of `evaluate`.

    Args:
        model: the bank.
        batches: as for `evaluate`, and so are the other arguments.
        images: ids of the images.
        pixels: what bits are divided by.
        device: where to run.
        report: called with the number of images done.
        build: makes a fresh metric, one for each unit.
    """
    scores = {name: _Score(build(), pixels) for name in model.units}
    return _evaluate(model, model.answers, scores, batches, images, pixels, device, report)
