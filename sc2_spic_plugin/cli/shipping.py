"""A suite's results made small enough to commit, with units that others may try: what `sc2-spic ship` does."""

import glob
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CheckpointError, ConfigError, DataError, nearest
from ..leaderboard import ResultFile, Source, collect_results
from ..leaderboard.results import Origin, curve_tables_path, pack_curve_tables
from ..leaderboard.verification import UNITS, shipped_unit_path
from ..models import SplitModel, export_unit
from ..ops import file_digest, write_atomic
from ..runtime.unit_pair import pair_paths
from ..training.checkpoint import load_model_checkpoint
from ..training.loop import CHECKPOINT
from .bench.job import CONFIG, RESULT
from .measuring import point_name
from .opening import OpenedConfig, open_config
from .shipped_curves import CurvePart, added, part_of

__all__ = ["Shipped", "ship_results"]


class Shipped(NamedTuple):
    """What was written, or was there already, by its path: the size in bytes."""

    results: Mapping[Path, int]
    units: Mapping[Path, int]


def ship_results(
    out: Path,
    to: Path,
    units_of: Sequence[str] = (),
    seed: int | None = None,
    overwrite: bool = False,
    overrides: Mapping[str, Any] | None = None,
    add: bool = False,
) -> Shipped:
    """Writes the results of a suite as they are committed; all or nothing, unless the disk is full.

        CURVE.json            the result file, as it is
        CURVE.csv.gz          its per-image tables
        units/CURVE/UNIT.*    chosen units in float32, as they were measured: fewer bits would make other bytes

    Args:
        out: the folder of `sc2-spic bench`.
        to: where they go.
        units_of: names of the curves whose units are exported too.
        seed: only units of this seed; None: of all.
        overwrite: replace files that differ.
        overrides: values to replace in the units' configs, by dotted path.
        add: keep points of these curves that are there and that the suite did not measure.

    Raises:
        DataError: no results, or a point without its per-image table.
        ConfigError: no such curve or seed, a curve without units, or files that are there and differ.
        CheckpointError: the checkpoint that was measured is not there any more.
    """
    if not (out / "results").is_dir():
        raise DataError(f"there is no {out / 'results'}; name the folder of `sc2-spic bench`.")
    sources = collect_results([out / "results"]).sources
    results: dict[Path, bytes] = {}
    for name, part in _named_parts(sources, to if add else None, overwrite):
        results[to / name] = part.result.to_json().encode()
        results[curve_tables_path(to / name)] = pack_curve_tables(part.tables())
    origins = [origin for curve in dict.fromkeys(units_of) for origin in _origins(sources, curve, seed)]
    units = dict(_exported(out, to / UNITS, origins, overrides or {}))
    files = results | units
    left = [path for path in _parts(to, results) if path not in files]
    changed = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    there = [str(path) for path in (*changed, *left) if path.exists() and not (add and path in results)]
    if there and not overwrite:
        raise ConfigError(f"{', '.join(there)} hold something else; choose another --to, or pass --overwrite.")
    for path in changed:
        write_atomic(path, files[path])
    for path in left:
        path.unlink()
    return Shipped(*({path: len(content) for path, content in each.items()} for each in (results, units)))


def _parts(to: Path, results: Iterable[Path]) -> list[Path]:
    """Returns the files in a folder that further parts of these curves were shipped as: `CURVE@2.json` and so on."""
    names = {path.stem.partition("@")[0] for path in results if path.suffix == ".json"}
    return [path for name in sorted(names) for path in sorted(to.glob(f"{glob.escape(name)}@*"))]


def _named_parts(sources: Sequence[Source], there: Path | None, overwrite: bool) -> Iterator[tuple[str, CurvePart]]:
    """Yields the parts of each curve with their file names; those in the folder `there` are added to."""
    curves: dict[str, list[CurvePart]] = {}
    for source in sources:
        curves.setdefault(source.result.name, []).append(part_of(source))
    committed = [] if there is None or not there.is_dir() else collect_results([there]).sources
    for curve, new in curves.items():
        before = [part_of(source) for source in committed if source.result.name == curve]
        for number, part in enumerate(added(new, before, overwrite), 1):
            yield (f"{curve}.json" if number == 1 else f"{curve}@{number}.json"), part


def _origins(sources: Sequence[Source], curve: str, seed: int | None) -> list[Origin]:
    """Returns the points of a curve whose units are wanted."""
    parts = [source for source in sources if source.result.name == curve]
    if not parts:
        raise ConfigError(f"no curve `{curve}` among the results. {nearest(curve, {s.result.name for s in sources})}")
    origins = [Origin(point, source) for source in parts for point in source.result.points]
    found = [origin for origin in origins if seed in (None, origin.point.seed)]
    if not found:
        seeds = ", ".join(sorted({str(origin.point.seed) for origin in origins}))
        raise ConfigError(f"`{curve}` was not trained with seed {seed}; it has {seeds}.")
    return found


def _exported(
    out: Path, folder: Path, origins: Sequence[Origin], overrides: Mapping[str, Any]
) -> Iterator[tuple[Path, bytes]]:
    """Yields path and content of the files of each unit; a bank is opened once for all its units."""
    jobs: dict[Path, list[Origin]] = {}
    for origin in origins:
        jobs.setdefault(_job_folder(out, origin), []).append(origin)
    for job, members in jobs.items():
        with tempfile.TemporaryDirectory() as scratch:
            opened = _opened(job, Path(scratch), overrides)
            model: SplitModel = opened.built.model  # type: ignore[assignment]
            names = {point_name(name, opened.about): name for name in model.units}
            for origin in members:
                unit = origin.point.unit
                written = export_unit(model, names[unit], scratch, exported_as=unit)
                targets = pair_paths(shipped_unit_path(folder, origin))
                for source, target in zip((written.tensors, written.description), targets, strict=True):
                    yield target, source.read_bytes()


def _job_folder(out: Path, origin: Origin) -> Path:
    """Returns the folder of the job that made a point, with the checkpoint that was measured."""
    curve, point = origin.source.result.name, origin.point
    for path in sorted((out / "points" / curve).rglob(RESULT)):
        if point.key in {each.key for each in ResultFile.load(path).points}:
            break
    else:
        raise DataError(f"no job below {out / 'points' / curve} made `{point.unit}`; run `sc2-spic bench` again.")
    checkpoint = path.parent / CHECKPOINT
    if not checkpoint.is_file() or file_digest(checkpoint) != point.checkpoint_sha256:
        raise CheckpointError(
            f"{checkpoint} is not there, or not what was measured, so `{curve}/{point.unit}` has no unit to ship; "
            "leave the curve out, or run `sc2-spic bench` on the folder again."
        )
    return path.parent


def _opened(job: Path, scratch: Path, overrides: Mapping[str, Any]) -> OpenedConfig:
    opened = open_config(job / CONFIG, scratch / "config.yaml", "cpu", 0, None, overrides, is_measured=False)
    model = opened.built.model
    if not isinstance(model, SplitModel) or not model.is_coded_by_tables:
        raise ConfigError(f"what {job} trained is no SPIC unit with tables, so it is not shipped; leave its curve out.")
    load_model_checkpoint(job / CHECKPOINT, model)
    model.eval().update()
    return opened
