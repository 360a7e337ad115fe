"""`results/`: the points of finished jobs as one result file for each curve, and their per-image tables."""

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError, SpicError
from ...leaderboard import Point, ResultFile, per_image_csv_path
from ...ops import write_atomic
from .job import RESULT, Job, replaced_place

__all__ = ["KIND", "RESULTS", "collect_curve", "collect_curves", "unnamed_points"]


RESULTS = "results"
KIND = ("method", "supervision", "cut", "bypassed", "network_sha256", "protocol_sha256")
"""Entries of `Meta` that are the same for all points of a curve."""


def collect_curves(jobs: Sequence[Job], done: set[str]) -> tuple[list[Path], dict[str, str]]:
    """Writes the result files of all curves that have a point; those of a curve that has none any more are put aside.

    Args:
        jobs: of the suite.
        done: names of those whose results hold.

    Returns:
        The files, and by curve why one could not be written.
    """
    written: list[Path] = []
    problems: dict[str, str] = {}
    for curve in dict.fromkeys(job.curve for job in jobs if job.builds is None):
        members = [job for job in jobs if job.curve == curve and job.name in done]
        try:
            written += collect_curve(members) if members else _put_aside(jobs[0].settings.out, curve)
        except (SpicError, OSError) as error:
            problems[curve] = str(error)
    return written, problems


def collect_curve(jobs: Sequence[Job]) -> list[Path]:
    """Writes the result file of one curve; the jobs' own results stay as they are.

    A file has one provenance: points made by other code, packages or on another machine go to `CURVE@2.json` and so
    on, under the curve's name.

    Args:
        jobs: those of the curve that are done, in the order of the suite.

    Raises:
        DataError: two jobs have points that contradict each other, or are of different methods, splits or supervision;
            or a per-image table is not there (all else is written).
        OSError: the disk is full or the folder cannot be written.
    """
    files: list[ResultFile] = []
    sources: dict[Point, Path] = {}
    for job in jobs:
        loaded = ResultFile.load(job.folder / RESULT)
        _check_kind(job, loaded, files)
        result = dataclasses.replace(loaded, name=job.curve, description=job.description)
        index = next((i for i, file in enumerate(files) if not file.meta.differences(result.meta)), len(files))
        _check_units(job, result, files)
        files[index : index + 1] = [files[index].merge(result) if index < len(files) else result]
        for point in result.points:
            sources[point] = per_image_csv_path(job.folder / RESULT, point.unit)
    if not files:
        return []
    results = jobs[0].settings.out / RESULTS
    paths, tables, missing = [], set(), []
    for number, file in enumerate(files, 1):
        path = results / (f"{file.name}.json" if number == 1 else f"{file.name}@{number}.json")
        paths.append(file.save(path, overwrite=True))
        units = [point.unit for point in file.points]
        for point in file.points:
            several = units.count(point.unit) > 1
            names = [point.unit, f"{point.unit}.seed{point.seed}"]
            target, other = (per_image_csv_path(path, name) for name in (reversed(names) if several else names))
            table = sources[point]
            if table.is_file():
                tables.add(write_atomic(target, table.read_bytes()))
            else:
                missing.append(str(table))
            other.unlink(missing_ok=True)  # of before there were several seeds
    for path in results.glob(f"{glob.escape(files[0].name)}@*"):
        if path not in tables and path not in paths:
            path.unlink()
    if missing:
        raise DataError(f"written, but without the per-image tables {', '.join(missing)}, which are not there.")
    return paths


def _put_aside(out: Path, curve: str) -> list[Path]:
    """Moves the result files of a curve without a point that holds to `replaced`; its points stay where they are."""
    name, results = glob.escape(curve), out / RESULTS
    files = [path for path in (results / f"{curve}.json", *results.glob(f"{name}@*.json")) if path.is_file()]
    others = [path.stem for path in results.glob(f"{name}.*.json")]  # curves whose names begin with this one and a dot
    found = [*files]
    for file in files:
        tables = results.glob(f"{glob.escape(file.stem)}.*.csv")
        found += [path for path in tables if not any(path.name.startswith(f"{other}.") for other in others)]
    if found:
        aside = replaced_place(out, RESULTS)
        aside.mkdir(parents=True)
        for path in found:
            path.rename(aside / path.name)
    return []


def unnamed_points(jobs: Sequence[Job]) -> list[str]:
    """Returns whose results lie beside those of the suite's jobs, of the same curves, and are in no result file.

    A suite that names fewer points or seeds than one before it leaves theirs where they are.
    """
    known = {job.name for job in jobs}
    points = jobs[0].settings.out / "points"
    found = (path.parent for curve in {job.curve for job in jobs} for path in (points / curve).glob(f"*/{RESULT}"))
    return sorted(name for name in (folder.relative_to(points).as_posix() for folder in found) if name not in known)


def _check_kind(job: Job, result: ResultFile, files: Sequence[ResultFile]) -> None:
    for name in KIND:
        for file in files[:1]:
            mine, theirs = getattr(result.meta, name), getattr(file.meta, name)
            if mine != theirs:
                raise DataError(
                    f"`{job.name}` has {name} {mine!r}, other points of `{job.curve}` have {theirs!r}; give each its "
                    "own `curve` in the suite."
                )


def _check_units(job: Job, result: ResultFile, files: Sequence[ResultFile]) -> None:
    known = {(point.unit, point.seed): point for file in files for point in file.points}
    for point in result.points:
        other = known.get((point.unit, point.seed))
        if other is not None:
            raise DataError(
                f"two jobs of `{job.curve}` have a point `{point.unit}` (seed {point.seed}): {other.accuracy} % at "
                f"{other.bpp} bpp, and {point.accuracy} % at {point.bpp} bpp in `{job.name}`; rename one, or give it "
                "its own `curve`."
            )
