"""CompressAI's JSON (`compressai.utils.eval_model`, `bench`), with an accuracy beside the rates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError
from .columns import number_columns, unit_names
from .reported import ESTIMATED, REPORTED, ReportedCurve, ReportedPoint, as_percent

__all__ = ["looks_like_compressai", "read_compressai"]

HARNESS = "CompressAI"
_ACCURACIES = {
    "top1": ("top1", "top-1", "top1_accuracy", "acc1", "acc@1"),
    "top5": ("top5", "top-5", "top5_accuracy", "acc5", "acc@5"),
    "miou": ("miou", "mIoU", "mean_iou"),
}
_NAMES = ("unit", "checkpoint", "quality", "qp", "q")


def looks_like_compressai(document: Any) -> bool:
    """Returns whether a JSON document has CompressAI's shape and no provenance, as ours has."""
    return (
        isinstance(document, Mapping)
        and isinstance(document.get("results"), Mapping)
        and "bpp" in document["results"]
        and "meta" not in document
    )


def read_compressai(document: Mapping[str, Any], path: Path, fractions: bool | None = None) -> ReportedCurve:
    """Reads `{"name", "description", "results": {"bpp": [...], "top1": [...], "psnr-rgb": [...], ...}}`.

    CompressAI's own tools write distortion alone; files with an accuracy come from whoever evaluated a network on the
    decoded images. Other columns are kept as they are.

    Args:
        document: the JSON.
        path: for messages.
        fractions: whether accuracies are fractions; None: refuse where that cannot be told.

    Raises:
        DataError: no rate or no accuracy, columns of different lengths, a NaN, or accuracies of an unknown unit.
    """
    results = document["results"]
    columns = number_columns(results, path)
    accuracies = {
        metric: as_percent(columns.pop(name), fractions, f"{path}, {name}")
        for metric, names in _ACCURACIES.items()
        for name in names
        if name in columns
    }
    if not accuracies:
        known = ", ".join(sorted(set(columns) - {"bpp"})) or "nothing else"
        raise DataError(
            f"{path} holds bpp and {known}, but no accuracy (`top1` or `miou`): a rate-distortion curve belongs to no "
            "rate-accuracy table. Run the network on the decoded images and add the column."
        )
    rates = columns.pop("bpp")
    points = [
        ReportedPoint(
            unit,
            {metric: values[index] for metric, values in accuracies.items()},
            bpp=rates[index],
            extra={name: values[index] for name, values in columns.items() if name not in _NAMES},
        )
        for index, unit in enumerate(unit_names(results, len(rates)))
    ]
    said = str(document.get("description") or "")
    estimated = "entropy" in said.lower() and "estimation" in said.lower()
    note = f"CompressAI's figure, `{said}`." if said else "CompressAI's figure; the file does not say of what."
    return ReportedCurve(
        path.name, HARNESS, points, note, ESTIMATED if estimated else REPORTED, str(document.get("name") or path.stem)
    )
