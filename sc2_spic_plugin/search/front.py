"""The Pareto set of a search, as bank checkpoints with the configs that read them: one bank for each cut."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..coding.payload import MAX_UNITS
from ..errors import CheckpointError
from ..leaderboard import pareto_front
from ..models.network import read_state_dict
from ..ops import write_atomic
from ..training.checkpoint import save_state_checkpoint
from ..training.loop import CHECKPOINT
from .bank_config import front_text
from .candidate import Candidate
from .dimensions import CUT
from .job import SearchJob

__all__ = ["FrontPoint", "front_of", "save_front"]


class FrontPoint(NamedTuple):
    """A candidate that was trained to the end.

    Attributes:
        candidate: its number and values.
        accuracy: on the selection images, percent.
        bpp: measured bits per image pixel.
    """

    candidate: Candidate
    accuracy: float
    bpp: float


def front_of(trials: Sequence[Any]) -> list[FrontPoint]:
    """Returns the trained candidates that no other one beats, by ascending rate; those stopped early take no part."""
    points = [
        FrontPoint(Candidate(trial.number, values_of(trial)), *trial.values)
        for trial in trials
        if trial.state.name == "COMPLETE"
    ]
    return pareto_front(points)


def values_of(trial: Any) -> dict[str, Any]:
    """Returns a trial's values by dimension."""
    return {name.partition("@")[0]: value for name, value in trial.params.items()}


def save_front(job: SearchJob, front: Sequence[FrontPoint]) -> list[Path]:
    """Writes `front/<cut>/config.yaml` and `checkpoint.pt`, in place of an earlier front; units by ascending rate.

    `sc2-spic run front/<cut>/config.yaml --test-only --checkpoint front/<cut>/checkpoint.pt` measures a bank on the
    images that tables report.

    Returns:
        The folders.

    Raises:
        CheckpointError: weights of a candidate are not in the search's folder.
    """
    states = {each.candidate.name: _state(job, each.candidate) for each in front}  # all, before anything is replaced
    banks: dict[str, list[Candidate]] = {}
    for cut in dict.fromkeys(each.candidate.values[CUT] for each in front):
        members = [each.candidate for each in front if each.candidate.values[CUT] == cut]
        for start in range(0, len(members), MAX_UNITS):
            number = f"-{start // MAX_UNITS + 1}" if start else ""
            banks[f"{job.store(cut).name}{number}"] = members[start : start + MAX_UNITS]
    shutil.rmtree(job.out / "front", ignore_errors=True)
    folders = []
    for name, members in banks.items():
        folder = job.out / "front" / name
        write_atomic(folder / "config.yaml", front_text(job.space, members[0].values[CUT], members))
        state = {key: value for member in members for key, value in states[member.name].items()}
        accuracies = [each.accuracy for each in front if each.candidate in members]
        save_state_checkpoint(folder / CHECKPOINT, state, sum(accuracies) / len(accuracies))
        folders.append(folder)
    return folders


def _state(job: SearchJob, candidate: Candidate) -> dict[str, Any]:
    path = job.weights(candidate.name)
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: candidate {candidate.number} was trained by a worker with another folder. Copy its "
            "`candidates` here and run the same command with --resume."
        )
    return read_state_dict(path)
