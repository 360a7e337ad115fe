"""One bank of candidates: trained together from the store, looked at once, trained on, measured, told."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import TrainingError
from ..ops import write_atomic
from ..training import SpicModel
from ..training.build import BuiltConfig, build_config, quiet_hosts, seed_everything
from ..training.calibrate import calibrate
from ..training.checkpoint import save_state_checkpoint
from ..training.loading import calibration_loader, last_stage
from ..training.loop import train
from ..training.resume import SavedState
from .bank_config import bank_text, trained_text
from .candidate import Candidate
from .continuation import go_on_with, of_units
from .job import SearchJob
from .measuring import Reached, measure_bank
from .stopping import clearly_beaten, epochs_before_look
from .study import SearchStudy

__all__ = ["Report", "build_bank", "train_generation"]

Report = Callable[[str, int, int], None]


def train_generation(job: SearchJob, study: SearchStudy, candidates: Sequence[Candidate], report: Report) -> None:
    """Trains candidates of one group to what each is worth, and tells the study.

        all ─► first epochs ─► measured ─┬─► clearly beaten: told as stopped
                                         └─► the rest go on where they stand ─► measured ─► weights kept, told

    A candidate whose loss is not finite is told as failed, and the others begin anew without it.

    Args:
        job: the search.
        study: where candidates are told.
        candidates: of one group, at work.
        report: called with a description, steps done and steps in all.

    Raises:
        SpicError: what stops every candidate; none that was not told is lost, if `SearchStudy.at_work` is around.
    """
    left = list(candidates)
    folder = job.banks / candidates[0].name
    while left:
        try:
            _train(job, study, left, folder, report)
            return
        except TrainingError as error:
            told = {trial.number for trial in study.trials() if trial.state.is_finished()}
            left = [each for each in left if each.number not in told]  # some were stopped early
            broken = next((each for each in left if f"unit `{each.name}`" in str(error) or len(left) == 1), None)
            if broken is None:
                raise
            study.tell_failed(broken, str(error))
            left.remove(broken)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _train(job: SearchJob, study: SearchStudy, candidates: list[Candidate], folder: Path, report: Report) -> None:
    _, stage = job.space.stage
    epochs = stage["num_epochs"]
    first = None if len(candidates) == 1 else epochs_before_look(epochs, job.space.early_stopping)
    resumed: SavedState | None = None
    if first is not None:
        built = _trained(job, candidates, folder / "first", report, first)
        looked = measure_bank(built)
        assert job.space.early_stopping is not None
        beaten = clearly_beaten(looked, job.space.early_stopping)
        for each in candidates:
            if each.name in beaten:
                study.tell_stopped(each, _facts(looked[each.name], first))
        candidates = [each for each in candidates if each.name not in beaten]
        names = [each.name for each in candidates]
        resumed = go_on_with(names, built.model, folder / "first", folder / "rest")  # type: ignore[arg-type]
    built = _trained(job, candidates, folder / "rest", report, resumed=resumed)
    reached = measure_bank(built)
    state = built.model.state_dict()
    for each in candidates:
        result = reached[each.name]
        save_state_checkpoint(job.weights(each.name), of_units(state, [each.name]), result.accuracy)
        study.tell_measured(each, result.accuracy, result.bpp, _facts(result, epochs))


def _trained(
    job: SearchJob,
    candidates: Sequence[Candidate],
    folder: Path,
    report: Report,
    epochs: int | None = None,
    resumed: SavedState | None = None,
) -> BuiltConfig:
    """Trains a bank for so many epochs, by default all, and counts its tables."""
    built = build_bank(job, candidates, folder / "config.yaml")
    if epochs is not None:
        last_stage(built)["num_epochs"] = epochs  # the scheduler is told of all
    model: Any = built.model
    model.observes = False  # counted exactly below
    count = len(candidates)
    what = f"{candidates[0].group.cut}, {count} candidate{'s' if count > 1 else ''}, "
    train(built, folder, job.precision, lambda line, done, total: report(what + line, done, total), resumed)
    calibrate(model, calibration_loader(built), built.device)
    return built


def build_bank(job: SearchJob, candidates: Sequence[Candidate], path: Path) -> BuiltConfig:
    """Builds the bank of candidates of one group, on the store of their cut; `path` is where its config goes."""
    import torch

    group = candidates[0].group
    text = trained_text(bank_text(job.space, group, candidates), job.store(group.cut))
    quiet_hosts()
    seed_everything(job.seed)
    built = build_config(write_atomic(path, text), torch.device(job.device))
    assert isinstance(built.model, SpicModel)
    return built


def _facts(reached: Reached, epochs: int) -> dict[str, Any]:
    return {**reached._asdict(), "epochs": epochs}
