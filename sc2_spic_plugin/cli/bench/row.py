"""Rows that train nothing: image codecs on the input, and the answer itself sent from the device."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from ...errors import DataError, SpicError
from ...leaderboard import (
    CodecPoint,
    CodedImage,
    Meta,
    PerImageOverlap,
    PerImageRow,
    Point,
    ResultFile,
    per_image_csv_path,
    read_per_image_csv,
    write_per_image_csv,
)
from ...leaderboard.evaluation import Evaluation, build_metric, evaluate
from ...leaderboard.styles import LABEL_METHOD, MASK_METHOD
from ...training.build import BuiltConfig
from ...training.loading import build_loader
from ..opening import OpenedConfig
from ..original_network import original_network
from ..progress import console, reporter
from .cost_columns import with_costs, without_costs
from .input_codec import coded_images, coding_model
from .job import FACTS, RESULT
from .row_costs import codec_point, open_row, row_costs
from .sent_mask import MaskSender

__all__ = ["measure_row"]


class _Row(NamedTuple):
    point: Point
    images: Sequence[PerImageRow | PerImageOverlap]


def measure_row(folder: Path, costs: bool = False) -> None:
    """Measures what the facts of a job's folder say with the original network, and writes the result beside them.

    Args:
        folder: of the job.
        costs: measure encoder size, operations and latency too.

    Raises:
        SpicError: the network, its data or the codec; a codec that fails says on how many images.
    """
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    row, places = facts["row"], facts["places"]
    opened = open_row(places)
    method, protocol = row["method"], opened.protocol
    if method == LABEL_METHOD:
        measured = _label(opened, Path(places["original"]) / RESULT)
    elif method == MASK_METHOD:
        measured = _as_row(_evaluate("mask", MaskSender(opened.built.model), _loader(opened.built), opened), "mask")
    else:
        measured = _codec(opened, codec_point(row))
    point = _with_costs(measured.point, opened, row) if costs else measured.point
    network, digest = original_network(opened.built)
    meta = Meta.collect(
        task=protocol.task,
        dataset=opened.about["dataset"],
        protocol=protocol.name,
        protocol_sha256=protocol.sha256,
        network=network,
        network_sha256=digest,
        method=method,
        samples=len(measured.images),
    )
    write_per_image_csv(per_image_csv_path(folder / RESULT, point.unit), measured.images)
    ResultFile(method, method, [point], meta).save(folder / RESULT, overwrite=True)  # last: who finds it finds all


def _with_costs(point: Point, opened: OpenedConfig, row: Mapping[str, Any]) -> Point:
    try:
        return with_costs(point, row_costs(opened, row))
    except SpicError as error:  # a row without its costs is better than none
        console.print(f"{point.unit}: encoder size, operations and latency are left out: {error}", soft_wrap=True)
        return point


def _images(built: BuiltConfig) -> Any:
    """Returns the data set that is reported."""
    return built.datasets[built.config["test"]["test_data_loader"]["dataset_id"]]


def _loader(built: BuiltConfig) -> Any:
    return build_loader(built, built.config["test"]["test_data_loader"])


def _evaluate(title: str, model: Any, batches: Any, opened: OpenedConfig) -> Evaluation:
    built, protocol, dataset = opened.built, opened.protocol, _images(opened.built)
    ids = list(getattr(dataset, "ids", None) or [str(index) for index in range(len(dataset))])
    pixels = protocol.denominator
    with reporter(title) as progress:
        return evaluate(
            model,
            batches,
            ids,
            None if isinstance(pixels, str) else pixels,
            built.device,
            lambda done: progress.step("images", done, len(ids)),
            build_metric(protocol, list(getattr(dataset, "classes", None) or [])),
        )


def _as_row(evaluation: Evaluation, unit: str, **provenance: Any) -> _Row:
    return _Row(evaluation.point(unit, **provenance), evaluation.rows())


def _label(opened: OpenedConfig, original: Path) -> _Row:
    """A device that runs the whole network and sends the label in whole bytes: the original's answers, at a price."""
    size = math.ceil(math.log2(max(len(_images(opened.built).classes), 2)) / 8)
    (point,) = ResultFile.load(original).points
    images = [row._replace(payload_bytes=size) for row in read_per_image_csv(per_image_csv_path(original, point.unit))]
    rate = opened.protocol.bits_per_image_pixel(size)
    answers = without_costs(point)
    # a label is one answer, not five
    point = dataclasses.replace(answers, unit="label", bpp=rate, payload_bytes=size, code_bytes=size, top5=None)
    return _Row(point, images)


def _codec(opened: OpenedConfig, coded: CodecPoint) -> _Row:
    sender, dataset = _Sender(coded), _images(opened.built)
    model, batches = coding_model(sender, opened.built, dataset), coded_images(opened.built, dataset)
    evaluation = _evaluate(f"{coded.codec} {coded.name}", model, batches, opened)
    if sender.failures:
        raise DataError(
            f"`{coded.codec}` {coded.name} failed on {len(sender.failures)} of {len(evaluation.images)} images, so the "
            f"others make no point that could be compared. The first: {sender.failures[0]}"
        )
    return _as_row(evaluation, coded.name, config_sha256=coded.sha256)


class _Sender:
    """Codes images, and counts those on which the codec fails instead of stopping at the first."""

    def __init__(self, coded: CodecPoint) -> None:
        self.coded = coded
        self.failures: list[str] = []

    def __call__(self, image: Image.Image) -> CodedImage:
        try:
            return self.coded.transmit(image)
        except DataError as error:
            self.failures.append(str(error))
            return CodedImage(image.convert("RGB"), 0)
