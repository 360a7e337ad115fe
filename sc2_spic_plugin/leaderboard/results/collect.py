"""Result files gathered from files and folders, each point once, contradictions refused."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from .group import group_of
from .result_file import ResultFile

__all__ = ["Collected", "Source", "check_agreement", "collect_results"]


class Source(NamedTuple):
    """A result with the file it came from; None where it was never written."""

    result: ResultFile
    path: Path | None = None


class Collected(NamedTuple):
    """What was found: the results, and the JSON files of folders that hold something else."""

    sources: list[Source]
    skipped: list[Path]


def collect_results(paths: Iterable[str | Path]) -> Collected:
    """Reads result files, and those below folders.

    A file reached twice is read once. In a folder, what `sc2-spic bench` put aside (`replaced`) is passed over, and
    JSON files with neither `results` nor `meta` are no result files and are listed as skipped; a file named by itself
    must be one.

    Args:
        paths: files and folders.

    Raises:
        DataError: nothing is there, a file cannot be read, has another schema, a NaN or a missing entry, or two files
            measured one point and disagree; the message names the files.
    """
    sources, skipped = [], []
    seen: set[Path] = set()
    for given in (Path(path) for path in paths):
        inside = sorted(_below(given)) if given.is_dir() else [given]
        if not inside:
            raise DataError(f"there is no .json file below {given}; name a folder of result files.")
        for path in inside:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if given.is_dir() and not _claims_to_be_a_result(path):
                skipped.append(path)
            else:
                sources.append(Source(ResultFile.load(path), path))
    if not sources:
        raise DataError("there is no result file among the paths; measure a method with `sc2-spic run` first.")
    check_agreement(sources)
    return Collected(sources, skipped)


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.json") if "replaced" not in path.relative_to(folder).parts)


def check_agreement(sources: Sequence[Source]) -> None:
    """Checks that no point was measured twice with another rate or accuracy, and that all saw as many images.

    Raises:
        DataError: two files disagree; the message names both and says what each has.
    """
    _check_samples(sources)
    before: dict[Any, tuple[Source, Any]] = {}
    for source in sources:
        meta = source.result.meta
        curve = (group_of(source.result), meta.method, meta.supervision, meta.cut, meta.bypassed, meta.bits)
        for point in source.result.points:
            first, known = before.setdefault((*curve, point.key), (source, point))
            if (point.bpp, point.accuracy) != (known.bpp, known.accuracy):
                raise DataError(
                    f"{_where(first)} and {_where(source)} contradict each other: {meta.method}, point "
                    f"`{point.unit}` (seed {point.seed}) is {known.accuracy} % at {known.bpp} bpp in the first and "
                    f"{point.accuracy} % at {point.bpp} bpp in the second. Keep the one that you can measure again."
                )


def _check_samples(sources: Sequence[Source]) -> None:
    """Refuses measurements on part of the images beside others of their group."""
    before: dict[Any, Source] = {}
    for source in sources:
        meta = source.result.meta
        if meta.bits != "measured" or meta.samples is None:
            continue
        first = before.setdefault(group_of(source.result), source)
        if meta.samples != first.result.meta.samples:
            raise DataError(
                f"{_where(first)} was measured on {first.result.meta.samples} images, {_where(source)} on "
                f"{meta.samples}: one table compares methods on the same images. Measure the one of fewer again, or "
                "leave it out."
            )


def _claims_to_be_a_result(path: Path) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    return isinstance(document, dict) and bool({"results", "meta"} & set(document))


def _where(source: Source) -> str:
    return str(source.path or f"`{source.result.name}`")
