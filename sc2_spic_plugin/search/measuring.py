"""What candidates reach on the selection images: accuracy of decoded bytes, and how many bytes it took."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..leaderboard import load_protocol
from ..leaderboard.evaluation import ClassificationMetric, Metric, SegmentationMetric, evaluate_units
from ..training import SpicModel
from ..training.batches import to_device
from ..training.build import BuiltConfig
from ..training.loading import build_loader, last_stage
from ..training.store import FeatureStore

__all__ = ["Reached", "accuracy_name", "measure_bank", "original_accuracy"]

_BATCH = 64


class Reached(NamedTuple):
    """What a candidate reached on the selection images.

    Attributes:
        accuracy: percent: top-1 or mean intersection over union.
        bpp: measured bits per image pixel, payload and all.
        payload_bytes: mean bytes per image.
        code_bytes: of which entropy-coded symbols.
        images: how many images.
    """

    accuracy: float
    bpp: float
    payload_bytes: float
    code_bytes: float
    images: int


def accuracy_name(task: str, labelled: bool) -> str:
    """Returns what accuracy means: against labels where the store has them, else against the original network."""
    measure = "mIoU" if task == "segmentation" else "top-1"
    return f"{measure} on the selection images, {'' if labelled else 'against the original network, '}%"


@torch.no_grad()
def original_accuracy(model: SpicModel, part: FeatureStore, task: str) -> float | None:
    """Returns what the original network reaches on labelled images; None where the store has no labels."""
    if not part.about.labelled:
        return None
    metric, device = _metric(task), model.network_digest.device
    model.eval()
    for stored, targets in DataLoader(part, _BATCH):
        batch = model.open_batch(to_device(stored, device))
        metric.update(model.run_behind(batch.features, batch.crossing), targets)
    images = [str(index) for index in range(len(part))]
    return metric.evaluation(images, [], [1] * len(images)).point("original").accuracy


def measure_bank(built: BuiltConfig) -> dict[str, Reached]:
    """Measures every unit of a bank on the selection part of its store, with real bytes; no other image is read.

    Args:
        built: a config that trains from a store, its tables counted.
    """
    model: Any = built.model
    dataset = _selection_part(built)
    named = (built.config.get("result") or {}).get("protocol")
    denominator = model.input_size[1:] if named is None else load_protocol(named).denominator
    pixels = tuple(model.input_size[1:]) if isinstance(denominator, str) else tuple(denominator)
    ids = [str(index) for index in range(len(dataset))]
    evaluations = evaluate_units(
        model, _batches(built), ids, (pixels[0], pixels[1]), built.device, build=lambda: _metric(built.task)
    )
    reached = {}
    for name, evaluation in evaluations.items():
        point = evaluation.point(name)
        assert point.bpp is not None and point.payload_bytes is not None and point.code_bytes is not None
        reached[name] = Reached(point.accuracy, point.bpp, point.payload_bytes, point.code_bytes, len(ids))
    return reached


def _metric(task: str) -> Metric:
    """Returns what scores; a class that no selection image shows is left out of the mean."""
    return SegmentationMetric((), "skip") if task == "segmentation" else ClassificationMetric()


def _batches(built: BuiltConfig) -> Iterator[tuple[Any, Tensor]]:
    loader = build_loader(built, last_stage(built)["val_data_loader"])
    labelled = _selection_part(built).about.labelled
    for stored, targets in loader:
        yield to_device(stored, built.device), targets if labelled else _answers(stored.original["output"])


def _answers(output: Tensor | Mapping[str, Tensor]) -> Tensor:
    """Returns what the original network says: classes (B,), or of each pixel (B, H, W)."""
    logits = output["out"] if isinstance(output, Mapping) else output
    return torch.argmax(logits.float(), dim=1)


def _selection_part(built: BuiltConfig) -> FeatureStore:
    """Returns the selection images of a config that trains from a store."""
    return built.datasets[last_stage(built)["val_data_loader"]["dataset_id"]]  # type: ignore[no-any-return]
