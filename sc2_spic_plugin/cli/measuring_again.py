"""A committed point measured again: from a shipped unit, its checkpoint, or, where nothing is trained, the suite."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ..errors import CheckpointError, ConfigError, DataError
from ..leaderboard import Point, ResultFile, Source
from ..leaderboard.results import ImageRow, Origin, image_rows
from ..leaderboard.styles import LABEL_METHOD
from ..leaderboard.verification import UNITS, shipped_unit_path
from ..models import SplitModel, drop_unit, load_unit
from ..ops import file_digest
from ..runtime.unit_pair import pair_paths
from ..training.checkpoint import load_model_checkpoint
from .bench.job import CONFIG, RESULT, RUN_CONFIG, Job
from .bench.row import measure_row
from .measuring import measure
from .opening import open_config
from .progress import reporter
from .running import RunOptions, run_config

__all__ = ["Again", "Weights", "code_again", "find_weights", "run_again"]

_LOADED = "_shipped"


class Again(NamedTuple):
    """A point as it was measured now, and its per-image table."""

    point: Point
    rows: Sequence[ImageRow]


class Weights(NamedTuple):
    """Where what was trained for a point lies.

    Attributes:
        path: a checkpoint, or the files of a unit without suffix.
        is_unit: which of the two.
    """

    path: Path
    is_unit: bool


def find_weights(origin: Origin, units: Path | None, checkpoint: Path | None) -> Weights:
    """Returns what a trained point is measured from: a checkpoint if one is named, else a shipped unit.

    Args:
        origin: the point.
        units: folder of shipped units; None: `units` beside the result file.
        checkpoint: a whole checkpoint.

    Raises:
        CheckpointError: it is not there, or is not the checkpoint that was measured.
    """
    point, path = origin.point, origin.source.path
    if checkpoint is not None:
        checkpoint = checkpoint.expanduser()
        if not checkpoint.is_file():
            raise CheckpointError(f"there is no checkpoint at {checkpoint}; correct the path.")
        digest = file_digest(checkpoint)
        if digest != point.checkpoint_sha256:
            raise CheckpointError(
                f"{checkpoint} (SHA-256 {digest[:12]}) is not the checkpoint that was measured "
                f"({str(point.checkpoint_sha256)[:12]}); pass that one."
            )
        return Weights(checkpoint, False)
    if units is None:
        if path is None:
            raise CheckpointError(f"`{point.unit}` is in no file; pass --units FOLDER.")
        units = path.parent / UNITS
    pair = shipped_unit_path(units.expanduser(), origin)
    if not any(file.is_file() for file in pair_paths(pair)):
        raise CheckpointError(
            f"no unit is shipped at {pair}; pass --units FOLDER or --checkpoint FILE where there is one, or --out "
            "FOLDER to train the point again there."
        )
    return Weights(pair, True)


def code_again(job: Job, origin: Origin, weights: Weights) -> Again:
    """Measures a trained point on all report images, through real bytes.

    Args:
        job: of the suite; its folder takes the config.
        origin: the committed point.
        weights: what was trained.

    Raises:
        SpicError: the config cannot be built or measured, or the weights belong to another network or cut.
    """
    job.prepare()
    settings = job.settings
    opened = open_config(job.folder / CONFIG, job.folder / RUN_CONFIG, settings.device, job.seed, settings.protocol)
    _load(opened.built.model, weights, origin.point.unit)
    with reporter(origin.point.unit) as progress:
        (evaluation,) = measure(opened.built, opened.protocol, progress.step).values()
    return Again(evaluation.point(origin.point.unit), evaluation.rows())


def run_again(original: Job, job: Job) -> Again:
    """Measures what needs nothing but the original network, as the suite does.

    Args:
        original: the job of that network, whose folder takes its config.
        job: what is measured; its folder takes the result.

    Raises:
        SpicError: the config, data set or codec.
    """
    is_label = job.row is not None and job.row["method"] == LABEL_METHOD  # made from the original's answers
    original.prepare()
    for each in (original, job) if is_label else (job,):
        each.prepare()
        if each.row is not None:
            measure_row(each.folder)
        else:
            _run(each)
    result = ResultFile.load(job.folder / RESULT)
    (point,) = result.points
    rows = image_rows(Origin(point, Source(result, job.folder / RESULT)))
    if rows is None:
        raise DataError(f"`{job.name}` left no per-image table in {job.folder}.")
    return Again(point, rows)


def _run(job: Job) -> None:
    settings = job.settings
    options = RunOptions(
        test_only=True,
        checkpoint=job.given_checkpoint,
        protocol=settings.protocol,
        device=settings.device,
        seed=job.seed,
        costs=False,
    )
    run_config(job.folder / CONFIG, job.folder, options).save(job.folder / RESULT)


def _load(model: nn.Module, weights: Weights, unit: str) -> None:
    """Puts what was trained into a model; of a bank only the point's unit is left, which changes no payload's size."""
    if not weights.is_unit:
        load_model_checkpoint(weights.path, model)
    elif isinstance(model, SplitModel) and model.is_coded_by_tables:
        load_unit(model, weights.path, _LOADED)  # type: ignore[arg-type]
        unit = _LOADED
    else:
        raise ConfigError(f"{weights.path} is a unit, the suite's model takes none; pass --checkpoint or --out.")
    if isinstance(model, SplitModel) and unit in model.units:
        for other in [name for name in model.units if name != unit]:
            drop_unit(model, other)
