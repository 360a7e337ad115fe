"""Measuring one model on the reported images: accuracy of what was decoded, and the bytes it took."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..analyzers import ImageSizes, SpicSizeAnalyzer
from ..errors import DataError
from .per_image import PerImageRow
from .point import Point
from .statistics import bootstrap_interval

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What was measured on each image.

    Attributes:
        images: ids of the images.
        correct: whether the first class was right, per image.
        correct5: whether the class was among the first five, per image; None with fewer than five classes.
        sizes: measured sizes per image; empty if the model codes nothing.
        pixels: image pixels that bits are divided by.
    """

    images: list[str]
    correct: list[bool]
    correct5: list[bool] | None
    sizes: list[ImageSizes]
    pixels: int

    def point(self, unit: str, **provenance: Any) -> Point:
        """Returns the means as an operating point called `unit`; `provenance` fills further fields of the point."""
        count = len(self.correct)
        low, high = bootstrap_interval([100.0 * right for right in self.correct])
        sizes = self.sizes
        payload = sum(size.payload_bytes for size in sizes) / count if sizes else None
        return Point(
            unit=unit,
            bpp=None if payload is None else payload * 8 / self.pixels,
            top1=100.0 * sum(self.correct) / count,
            top5=None if self.correct5 is None else 100.0 * sum(self.correct5) / count,
            confidence_low=low,
            confidence_high=high,
            code_bytes=sum(size.code_bytes for size in sizes) / count if sizes else None,
            payload_bytes=payload,
            harness_kilobytes=sum(size.harness_bytes for size in sizes) / count / 1024 if sizes else None,
            **provenance,
        )

    def rows(self) -> list[PerImageRow]:
        """Returns one row per image for the table beside the result file."""
        payloads = [size.payload_bytes for size in self.sizes] or [0] * len(self.images)
        return [PerImageRow(*row) for row in zip(self.images, payloads, self.correct, strict=True)]


@contextlib.contextmanager
def _measuring(model: nn.Module, pixels: tuple[int, int]) -> Iterator[SpicSizeAnalyzer]:
    """Makes the model code into real bytes and hands every compressed object to one fresh analyzer."""
    from sc2bench.analysis import AnalyzableModule
    from sc2bench.models.backbone import UpdatableBackbone

    analyzer = SpicSizeAnalyzer(image_size=pixels)
    if not isinstance(model, AnalyzableModule):
        yield analyzer
        return
    if isinstance(model, UpdatableBackbone) and not model.bottleneck_updated:
        model.update()
    own, own_flag = model.analyzers, getattr(model, "analyzes_after_compress", None)
    model.analyzers = [analyzer]
    if own_flag is not None:
        model.analyzes_after_compress = True
    model.activate_analysis()
    try:
        yield analyzer
    finally:
        model.deactivate_analysis()
        model.analyzers = own
        if own_flag is not None:
            model.analyzes_after_compress = own_flag


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Any, Tensor]],
    images: Sequence[str],
    pixels: tuple[int, int],
    device: torch.device,
    report: Callable[[int], None] = lambda _images: None,
) -> Evaluation:
    """Evaluates a model image by image; a model that codes does so with real bytes.

    Args:
        model: any classifier of the hosts or of this package.
        batches: pairs of images and labels, in the order of `images`.
        images: ids of the images.
        pixels: (height, width) that bits are divided by: the protocol's denominator.
        device: where to run.
        report: called with the number of images done.

    Raises:
        DataError: no image, or a label that is no class.
    """
    model.to(device).eval()
    correct: list[bool] = []
    correct5: list[bool] = []
    with _measuring(model, pixels) as analyzer:
        for batch, labels in batches:
            output = model(batch.to(device) if isinstance(batch, Tensor) else batch)
            if int(labels.min()) < 0:
                raise DataError("an image without a label cannot be scored; report on a labelled data set.")
            ranks = output.topk(min(5, output.shape[1]), dim=1).indices.cpu() == labels.reshape(-1, 1)
            correct += ranks[:, 0].tolist()
            correct5 += ranks.any(dim=1).tolist()
            report(len(correct))
    if not correct:
        raise DataError("there was no image to evaluate; check the data set's folder.")
    sizes = analyzer.images
    if sizes and len(sizes) != len(correct):
        raise DataError(f"{len(correct)} images were decoded but {len(sizes)} were measured; use a test batch of 1.")
    enough = output.shape[1] >= 5
    return Evaluation(list(images)[: len(correct)], correct, correct5 if enough else None, sizes, pixels[0] * pixels[1])
