"""Measuring or training a committed point again: what `sc2-spic leaderboard --verify` does."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..configs import resolve_config
from ..configs.plain import load_plain
from ..configs.suite import Suite, load_suite
from ..errors import ConfigError, DataError, TrainingError, nearest
from ..leaderboard import Point, ResultFile, Source
from ..leaderboard.results import ImageRow, Origin, image_rows
from ..leaderboard.styles import LABEL_METHOD, MASK_METHOD
from ..leaderboard.verification import (
    ExactCheck,
    RetrainedCheck,
    check_exactly,
    check_images,
    check_retrained,
    find_point,
)
from ..models.network import load_weights
from ..ops import write_atomic
from .bench.estimate import Estimates
from .bench.job import ORIGINAL, RESULT, Job
from .bench.lines import Lines
from .bench.plan import plan_jobs
from .bench.processes import Processes
from .bench.runner import Runner
from .bench.schedule import judge_all
from .bench.status import Status
from .bench.suite_run import run_suite, working_in
from .measuring_again import code_again, find_weights, run_again
from .opening import open_config
from .original_network import original_network
from .progress import console

__all__ = ["Verified", "VerifyOptions", "verify"]

MARK = "verifying.txt"


@dataclass(frozen=True)
class VerifyOptions:
    """With what a point is measured or trained again.

    Attributes:
        suite: name or path of the suite that made the point.
        network: file of the original network's weights; by default the suite's.
        values: shared values of the suite, as `sc2-spic bench --set` takes them.
        device: torch device string.
        units: folder of shipped units; by default `units` beside the result file.
        checkpoint: a whole checkpoint instead.
        out: folder in which the point is trained again instead.
    """

    suite: str
    network: Path | None = None
    values: Mapping[str, Any] | None = None
    device: str = "cpu"
    units: Path | None = None
    checkpoint: Path | None = None
    out: Path | None = None


class Verified(NamedTuple):
    """What was done with a point, and what came of it."""

    done: str
    check: ExactCheck | RetrainedCheck


def verify(sources: Sequence[Source], name: str, options: VerifyOptions, runner: Runner | None = None) -> Verified:
    """Measures a committed point again, from the same weights or after a new training, and compares.

    Args:
        sources: committed results.
        name: of the point, see `find_point`.
        options: with what.
        runner: runs the jobs of a new training; by default each in a process of its own.

    Raises:
        ConfigError: no such point, or an option that is missing or not for this point.
        DataError: another network, protocol or data set than the result's, or there is no per-image table.
        CheckpointError: no unit or checkpoint, or not that of the point.
        TrainingError: the new training failed.
    """
    origin = find_point(sources, name)
    if origin.source.result.meta.bits != "measured":
        raise ConfigError(
            f"`{name}` was not measured here ({origin.source.result.meta.bits}); nothing can be verified."
        )
    suite = load_suite(resolve_config(options.suite)).with_values(options.values or {})
    with tempfile.TemporaryDirectory() as scratch:
        jobs = plan_jobs(suite, options.out or Path(scratch), options.network, options.device)
        if jobs[0].settings.trains_network:
            raise ConfigError("pass the original network's weights with --network; a new one would be another network.")
        job = _job_of(jobs, origin, suite)
        _check_options(job, name, options)
        if options.out is not None:
            _check_same(jobs[0], origin, Path(scratch), None)
            return _train_again(suite, jobs, job, sources, origin, runner or Processes())
        committed = _committed_rows(origin)
        weights = None
        if job.trains or options.units is not None or options.checkpoint is not None:
            weights = find_weights(origin, options.units, options.checkpoint)
        _check_same(jobs[0], origin, Path(scratch), committed)
        again = run_again(jobs[0], job) if weights is None else code_again(job, origin, weights)
        done = "measured again" + ("" if weights is None else f" from {weights.path}")
        check = check_exactly(origin.source.result.meta, origin.point, committed, again.point, again.rows)
        return Verified(done, check)


def _check_options(job: Job, name: str, options: VerifyOptions) -> None:
    given = [f"--{key}" for key in ("units", "checkpoint", "out") if getattr(options, key) is not None]
    takes_weights = job.row is None and job.name != ORIGINAL
    if given and not (takes_weights and (job.trains or options.out is None)):
        raise ConfigError(f"nothing is trained for `{name}`, it is measured again: leave {', '.join(given)} out.")
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} are different ways to verify a point; pass one of them.")
    if job.checkpoint is not None and options.checkpoint is None:
        raise ConfigError(
            f"`{name}` was measured from a checkpoint that `{job.needs[-1]}` trained; pass that with --checkpoint."
        )
    if job.skipped is not None:
        raise ConfigError(f"`{name}` cannot be measured here: {job.skipped}")


def _job_of(jobs: Sequence[Job], origin: Origin, suite: Suite) -> Job:
    """Returns the job of the suite that makes a point."""
    curve, point = origin.source.result.name, origin.point
    alike = [job for job in jobs if job.curve == curve and job.builds is None]
    if not alike:
        curves = [job.curve for job in jobs if job.builds is None]
        raise ConfigError(
            f"suite `{suite.name}` has no curve `{curve}`. {nearest(curve, curves)} Pass another --suite."
        )
    units = {job.name: _units_of(job, point) for job in alike}
    named = [job for job in alike if point.unit in units[job.name]]
    if not named:
        known = [unit for each in units.values() for unit in each]
        raise ConfigError(f"`{curve}` of suite `{suite.name}` has no `{point.unit}`. {nearest(point.unit, known)}")
    found = [job for job in named if job.row is not None or point.seed in (None, job.seed)]
    if not found:
        seeds = ", ".join(str(job.seed) for job in named)
        raise ConfigError(
            f"`{curve}/{point.unit}` was trained with seed {point.seed}, suite `{suite.name}` has {seeds}: pass the "
            "suite that made the point."
        )
    return found[0]


def _units_of(job: Job, point: Point) -> list[str]:
    """Returns the names of the points that a job gives."""
    if job.name == ORIGINAL:
        return [point.unit]
    if job.row is not None:
        answers = {LABEL_METHOD: "label", MASK_METHOD: "mask"}
        return [answers.get(job.row["method"], Path(job.name).name)]
    config = load_plain(job.text)
    models = config["models"]
    kwargs = (models.get("student_model") or models["model"]).get("kwargs") or {}
    return list(kwargs["units"]) if "units" in kwargs else [config["result"]["unit"]]


def _committed_rows(origin: Origin) -> Sequence[ImageRow]:
    """Returns the per-image table of the committed point."""
    rows = image_rows(origin)
    if rows is None:
        raise DataError(
            f"there is no per-image table of `{origin.point.unit}` beside {origin.source.path}; copy it there, or pass "
            "--out to train the point again."
        )
    return rows


def _check_same(job: Job, origin: Origin, scratch: Path, committed: Sequence[ImageRow] | None) -> None:
    """Refuses another original network, protocol or, if there is a table, other images, before any time is spent."""
    meta, weights = origin.source.result.meta, job.settings.weights
    config = write_atomic(scratch / "original.yaml", job.text)
    opened = open_config(config, scratch / "opened.yaml", "cpu", 0, job.settings.protocol)
    load_weights(opened.built.model, weights)
    digest = original_network(opened.built)[1]
    if digest != meta.network_sha256:
        raise DataError(
            f"{weights} is another network (digest {digest[:12]}) than that of {origin.source.path} (digest "
            f"{str(meta.network_sha256)[:12]}); pass the weights that the table was made with."
        )
    protocol = opened.protocol
    if (protocol.name, protocol.sha256) != (meta.protocol, meta.protocol_sha256):
        raise DataError(
            f"the suite measures under protocol `{protocol.name}` (digest {protocol.sha256[:12]}), "
            f"{origin.source.path} was made under `{meta.protocol}` (digest {str(meta.protocol_sha256)[:12]}); pass "
            "the suite that made it, with the protocol as it was then."
        )
    if committed is not None:
        dataset = opened.built.datasets[opened.built.config["test"]["test_data_loader"]["dataset_id"]]
        check_images(committed, getattr(dataset, "ids", None) or map(str, range(len(dataset))))


def _train_again(
    suite: Suite, jobs: Sequence[Job], job: Job, sources: Sequence[Source], origin: Origin, runner: Runner
) -> Verified:
    """Trains a point as the suite says, in a folder of its own, and judges it by the spread that is stated."""
    out = job.settings.out
    _claim(out)
    needed = {job.name, *job.needs}
    chosen = [each for each in jobs if each.name in needed]
    status = Status.load(out, suite.name)
    estimates = Estimates(suite, jobs, status)
    with working_in(out), Lines(console, chosen, judge_all(chosen, status), estimates, 1) as lines:
        summary = run_suite(jobs, chosen, runner, status, lines).summary
    reasons = {**summary.failed, **summary.not_run, **summary.skipped}
    if reasons:
        listed = "; ".join(f"`{name}`: {reason}" for name, reason in reasons.items())
        raise TrainingError(f"the point could not be trained again. {listed}; what was printed is in {out / 'log'}.")
    after = _trained(job, origin)
    if after is None:
        raise TrainingError(f"{job.folder / RESULT} has no point `{origin.point.unit}`; pass the suite that made it.")
    same = ", to the same checkpoint byte for byte" if after.checkpoint_sha256 == origin.point.checkpoint_sha256 else ""
    return Verified(f"trained again with seed {job.seed} in {out}{same}", check_retrained(sources, origin, after))


def _claim(out: Path) -> None:
    """Marks a folder as one of trainings that verify, refusing any that holds something else."""
    mark = out / MARK
    if not mark.is_file() and out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"{out} holds other things, perhaps the training that the point is from; choose another --out."
        )
    write_atomic(mark, "Points that were trained again to verify committed ones.\n")


def _trained(job: Job, origin: Origin) -> Point | None:
    """Returns the point as the job's folder has it; None if it has none."""
    if not (job.folder / RESULT).is_file():
        return None
    points = ResultFile.load(job.folder / RESULT).points
    return next((point for point in points if point.unit == origin.point.unit), None)
