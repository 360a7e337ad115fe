"""What somebody reports about a method, and the result file that it becomes under a protocol that is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import ConfigError, DataError
from ..protocol import Protocol
from ..results import METRICS, Meta, Point, ResultFile, Value

__all__ = ["ESTIMATED", "REPORTED", "ReportedCurve", "ReportedPoint", "Standing", "as_percent", "as_result"]

REPORTED, ESTIMATED = "reported", "estimated"
"""Kinds of bits (`Meta.bits`): as reported, counted by whoever reports them; or an entropy model's estimate."""


@dataclass(frozen=True)
class ReportedPoint:
    """One operating point as reported; what was not reported is None.

    Attributes:
        unit: what tells it from the others.
        accuracies: percent, by `top1`, `top5` or `miou`.
        bpp: bits per image pixel.
        kilobytes: of 1024 bytes per image, where bits per pixel are not reported: the harness's object.
        payload_bytes: bytes per image, where they are reported.
        code_bytes: of these the entropy-coded symbols.
        seed: training seed.
        extra: further columns.
    """

    unit: str
    accuracies: Mapping[str, float]
    bpp: float | None = None
    kilobytes: float | None = None
    payload_bytes: float | None = None
    code_bytes: float | None = None
    seed: int | None = None
    extra: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedCurve:
    """What one file reports.

    Attributes:
        file: its name.
        harness: what wrote it.
        points: its operating points.
        note: how its bits were counted.
        bits: kind of its bits, see `Meta.bits`.
        name: what it calls itself.
        samples: images reported; None where it does not say.
        date: when, as far as it says.
    """

    file: str
    harness: str
    points: Sequence[ReportedPoint]
    note: str
    bits: str = REPORTED
    name: str = ""
    samples: int | None = None
    date: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the reported numbers stand for; none of it is in their files, somebody has to say it.

    Attributes:
        method: key of the method.
        dataset: name of the data set.
        network: name of the split network.
        protocol: how the images were prepared and bits divided.
        network_sha256: digest of the original network; without it the rows share no table with measured ones.
        supervision: `supervised`, `unsupervised` or None.
        cut: module the network is cut at, or None.
        bypassed: whether data reach the output past the cut, uncounted.
    """

    method: str
    dataset: str
    network: str
    protocol: Protocol
    network_sha256: str | None = None
    supervision: str | None = None
    cut: str | None = None
    bypassed: bool = False

    def check_beside(self, result: ResultFile) -> None:
        """Checks that the rows may share a table with a result's.

        Raises:
            ConfigError: what differs.
        """
        meta = result.meta
        pairs = {
            "task": (self.protocol.task, meta.task),
            "protocol": (self.protocol.name, meta.protocol),
            "values of the protocol": (self.protocol.sha256, meta.protocol_sha256),
        }
        for name, (mine, theirs) in pairs.items():
            if mine != theirs:
                raise ConfigError(f"the rows cannot stand beside `{result.name}`: {name} {theirs}, not {mine}.")


def check_samples(reported: ResultFile, beside: ResultFile) -> None:
    """Checks that rows are of as many images as the result whose table they are to share.

    Raises:
        DataError: they are not; a log of larger batches counts these.
    """
    mine, theirs = reported.meta.samples, beside.meta.samples
    if mine is not None and theirs is not None and mine != theirs:
        raise DataError(
            f"the files report on {mine} samples, `{beside.name}` on {theirs} images. sc2bench logs one size for each "
            "batch: test with batches of one image, on all images of the protocol; or leave --beside out."
        )


def as_result(curves: Sequence[ReportedCurve], standing: Standing, name: str | None = None) -> ResultFile:
    """Joins what files of one method report into a result file whose bits are as reported.

    Args:
        curves: one per file.
        standing: what the numbers stand for.
        name: of the result; by default the method and what wrote the files.

    Raises:
        DataError: a point without the task's metric or without a rate, or one that is there twice.
        ConfigError: files of several kinds together, or sizes that no number of pixels divides.
    """
    harnesses = {(curve.harness, curve.bits) for curve in curves}
    if len(harnesses) != 1:
        kinds = ", ".join(sorted(f"{harness} ({bits} bits)" for harness, bits in harnesses))
        raise ConfigError(f"one result file holds numbers of one kind, these are of several: {kinds or 'none'}.")
    ((harness, bits),) = harnesses
    samples = {curve.samples for curve in curves}
    if len(samples) > 1:
        raise DataError(f"the files report on different numbers of images: {', '.join(map(str, samples))}.")
    files = ", ".join(curve.file for curve in curves)
    notes = " ".join(dict.fromkeys(curve.note for curve in curves))
    meta = Meta(
        task=standing.protocol.task,
        dataset=standing.dataset,
        protocol=standing.protocol.name,
        protocol_sha256=standing.protocol.sha256,
        network=standing.network,
        network_sha256=standing.network_sha256,
        method=standing.method,
        supervision=standing.supervision,
        cut=standing.cut,
        bypassed=standing.bypassed,
        samples=samples.pop(),
        code_version=f"{harness}, version not stated",
        versions={},
        date=max(curve.date or "" for curve in curves) or "not stated",
        bits=bits,
    )
    return ResultFile(
        name or f"{standing.method}, reported by {harness}",
        f"Bits: as reported by {harness}, not measured here. {notes} Read from {files}.",
        [_point(point, standing.protocol) for curve in curves for point in curve.points],
        meta,
    )


def as_percent(values: Sequence[float], fractions: bool | None, where: str) -> list[float]:
    """Returns accuracies in percent.

    Args:
        values: as reported.
        fractions: whether 1 is perfect; None: nobody says, and values up to 1 are refused.
        where: for messages.

    Raises:
        DataError: values that are neither, or that could be both.
    """
    if fractions is None and max(values, default=0.0) <= 1:
        raise DataError(f"{where}: accuracies are all 1 or less; say --fractions if 1 means all right, else --percent.")
    if any(not 0 <= value <= (1 if fractions else 100) for value in values):
        raise DataError(f"{where}: accuracies must be 0 to {1 if fractions else 100}, got {values}.")
    return [100 * value for value in values] if fractions else list(values)


def _point(point: ReportedPoint, protocol: Protocol) -> Point:
    metric = METRICS[protocol.task]
    if metric not in point.accuracies:
        known = ", ".join(point.accuracies) or "none"
        raise DataError(f"point `{point.unit}` reports no {metric} (accuracies: {known}); {protocol.name} needs it.")
    return Point(
        unit=point.unit,
        bpp=_rate(point, protocol),
        **dict(point.accuracies),  # type: ignore[arg-type]
        code_bytes=point.code_bytes,
        payload_bytes=point.payload_bytes,
        harness_kilobytes=point.kilobytes,
        seed=point.seed,
        extra=point.extra,
    )


def _rate(point: ReportedPoint, protocol: Protocol) -> float:
    """Returns bits per image pixel: from a size where the protocol's pixels are known, else as reported."""
    size = point.payload_bytes
    if size is None and point.kilobytes is not None:
        size = point.kilobytes * 1024
    if point.bpp is not None and (size is None or protocol.pixels is None):
        return point.bpp
    if size is None:
        raise DataError(f"point `{point.unit}` reports no rate; let the harness analyse what it compresses.")
    return protocol.bits_per_image_pixel(size)
