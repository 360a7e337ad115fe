"""Result files of edge-cloud-rac (Duan and Zhu): parallel lists, accuracies as fractions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError
from .columns import number_columns, unit_names
from .reported import ReportedCurve, ReportedPoint, as_percent

__all__ = ["looks_like_edge_cloud_rac", "read_edge_cloud_rac"]

HARNESS = "edge-cloud-rac"
_NOTE = (
    "Its evaluate.py divides the size of one pickled object per batch (128 images by default) by the images and their "
    "224 x 224 pixels; files of image codecs do not say."
)


def looks_like_edge_cloud_rac(document: Any) -> bool:
    """Returns whether a JSON document is one of that project's `results/*.json`."""
    return isinstance(document, Mapping) and {"bpp", "top1"} <= set(document) and "results" not in document


def read_edge_cloud_rac(document: Mapping[str, Any], path: Path, fractions: bool | None = None) -> ReportedCurve:
    """Reads `{"top1": [...], "top5": [...], "bpp": [...], "checkpoint": [...] or "quality": [...]}`.

    Args:
        document: the JSON.
        path: for messages; the project names its files after the method.
        fractions: False for percent, otherwise fractions as that project writes them.

    Raises:
        DataError: a missing column, columns of different lengths, a NaN, or accuracies that are no fractions.
    """
    columns = number_columns(document, path)
    if "top1" not in columns:
        raise DataError(f"{path}: `top1` must be a list of fractions.")
    is_fraction = fractions is not False
    accuracies = {
        metric: as_percent(columns[metric], is_fraction, f"{path}, {metric}")
        for metric in ("top1", "top5")
        if metric in columns
    }
    points = [
        ReportedPoint(unit, {metric: values[index] for metric, values in accuracies.items()}, bpp=columns["bpp"][index])
        for index, unit in enumerate(unit_names(document, len(columns["bpp"])))
    ]
    return ReportedCurve(path.name, HARNESS, points, _NOTE, name=path.stem)
