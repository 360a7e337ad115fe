"""What must lie beside a result file: per-image table, config and, if possible, checkpoint of each point."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ...errors import DataError
from ...ops import file_digest
from ..results import Origin, Point, ResultFile, Source, image_table, image_table_path, per_image_csv_path
from ..statistics import Interval
from ..styles import UNCODED_METHODS
from .item import Item, listed

__all__ = ["evidence_items"]

_BOOTSTRAP_SLACK = 0.1
"""Share of its width by which the ends of a bootstrap interval of a thousand draws or more may differ."""
_ROUNDING = 1e-6
_CONFIGS = (".yaml", ".yml")
_CHECKPOINTS = (".pt", ".pth", ".safetensors")


def evidence_items(result: ResultFile, path: Path) -> list[Item]:
    """Returns what is not beside a result file, or contradicts it.

    Args:
        result: the file's content.
        path: where it lies; configs and checkpoints are looked for in its folder and below, by their digests, and for
            a file in `results` also in `points` beside that folder, where `sc2-spic bench` keeps them.
    """
    return [*_tables(result, path), *_files(result, path)]


def _tables(result: ResultFile, path: Path) -> Iterator[Item]:
    source = Source(result, path)
    missing, wrong, short, other, invented = [], [], [], [], []
    images: tuple[str, ...] | None = None
    for point in result.points:
        origin = Origin(point, source)
        if image_table_path(origin) is None:
            missing.append(point.unit)
            continue
        try:
            table = image_table(origin)
        except DataError as error:
            wrong.append(str(error))
            continue
        if table is None:
            continue
        if result.meta.samples not in (None, len(table.images)):
            short.append(f"{point.unit} ({len(table.images)})")
        images = images or table.images
        if table.images != images:
            other.append(point.unit)
        if not _agrees(point, table.interval(), len(table.images)):
            invented.append(point.unit)
    if missing:
        shape = "image,payload_bytes,correct" if result.meta.metric == "top1" else "counts per class"
        yield Item(
            f"no per-image table beside the file for {listed(missing, len(result.points))}",
            f"write {per_image_csv_path(path, missing[0]).name} ({shape}), one line per reported image",
        )
    for contradiction in wrong:
        yield Item("a per-image table contradicts its point", contradiction)
    if short:
        yield Item(
            f"meta.samples is {result.meta.samples}, tables hold other numbers of images: {', '.join(short)}",
            "report every image of the protocol's report set, once",
        )

    if other:
        yield Item(
            f"the tables are of different images: those of {listed(other, len(result.points))} are not the first one's",
            "report the images of the protocol's report set for every point",
        )
    if invented:
        yield Item(
            f"confidence_low and _high do not follow from the tables at {listed(invented, len(result.points))}",
            "bootstrap them over the images of the table (`leaderboard.bootstrap_interval`)",
        )


def _agrees(point: Point, interval: Interval, images: int) -> bool:
    """Whether a point's interval is that of its table, as far as two bootstraps agree: of few images, to one image."""
    if point.confidence_low is None or point.confidence_high is None:
        return True  # said with the figures
    slack = _BOOTSTRAP_SLACK * (interval.high - interval.low) + 100 / images + _ROUNDING
    ends = ((point.confidence_low, interval.low), (point.confidence_high, interval.high))
    return all(abs(mine - found) <= slack for mine, found in ends)


def _files(result: ResultFile, path: Path) -> Iterator[Item]:
    if result.meta.method in UNCODED_METHODS:
        return
    trained = [point for point in result.points if point.checkpoint_sha256 is not None]
    configs = _digests(path, _CONFIGS) if trained else frozenset()
    lacking = [point.unit for point in trained if point.config_sha256 and point.config_sha256 not in configs]
    if lacking:
        yield Item(
            f"no config with the digest of {listed(lacking, len(result.points))} beside the file or below",
            "put the config as it was run there; `sc2-spic run` and `bench` keep it as config.yaml",
        )
    checkpoints = _digests(path, _CHECKPOINTS) if trained else frozenset()
    lacking = [point.unit for point in trained if point.checkpoint_sha256 not in checkpoints]
    if lacking:
        yield Item(
            f"no checkpoint with the digest of {listed(lacking, len(result.points))} beside the file or below",
            "attach it, or say where it can be had: without it the point is verified by training it again",
            False,
        )


@cache
def _digest(path: Path, _size: int, _modified: int) -> str:
    return file_digest(path)


def _digests(result: Path, endings: tuple[str, ...]) -> frozenset[str]:
    """Returns the digests of the files with these endings that belong to a result file."""
    folders = [result.parent]
    if result.parent.name == "results":
        folders.append(result.parent.parent / "points")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in endings]
    stats = [(path, path.stat()) for path in files if path.is_file()]
    return frozenset(_digest(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)
