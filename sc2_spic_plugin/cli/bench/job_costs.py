"""Costs of a job's finished points, measured in a process of its own and added to its result."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...leaderboard import ResultFile, code_version
from ...leaderboard.costs import Costs
from ...ops import file_digest
from ...training.checkpoint import load_model_checkpoint
from ...training.loop import CHECKPOINT
from ..measuring import point_name, unit_costs, unit_names
from ..opening import OpenedConfig, open_config
from ..running import checkpoint_to_test
from .cost_columns import with_costs
from .cost_rules import ASKED, asked_at, now, timing_protocol, untimed_points
from .job import CONFIG, FACTS, RESULT
from .row_costs import open_row, row_costs

__all__ = ["measure_job_costs"]


def measure_job_costs(folder: Path) -> None:
    """Measures the costs of those points of a job that lack them; each is in the result as soon as it is known.

    Nothing else of the result changes: `meta` tells of the run that measured accuracy and bytes, the columns
    `timing_...` of the timing, `timing_date` and `timing_code_version` among them.

    Args:
        folder: of the job, with its config and facts.

    Raises:
        SpicError: the model cannot be built or measured, or is not the one that the result is about.
        OSError: the disk is full or the folder cannot be written.
    """
    facts, result = _facts(folder), ResultFile.load(folder / RESULT)
    places = facts["places"]
    protocol = timing_protocol((folder / CONFIG).read_text(encoding="utf-8"), places["protocol"])
    lacking = list(untimed_points(result, protocol, asked_at(folder)))
    if not lacking:
        return
    if facts["row"] is not None:
        opened = open_row(places, protocol.device)
        found: Iterator[tuple[str, Costs]] = iter([(lacking[0], row_costs(opened, facts["row"]))])
    else:
        opened = _open(folder, facts, protocol.device, result)
        found = _of_points(opened, lacking)
    for unit, costs in found:
        marks = {"timing_date": now(), "timing_code_version": code_version()}
        points = [with_costs(point, costs, **marks) if point.unit == unit else point for point in result.points]
        result = dataclasses.replace(result, points=points)
        result.save(folder / RESULT, overwrite=True)


def _facts(folder: Path) -> Mapping[str, Any]:
    return json.loads((folder / FACTS).read_text(encoding="utf-8"))


def _open(folder: Path, facts: Mapping[str, Any], device: str, result: ResultFile) -> OpenedConfig:
    """Builds the model of a job with the checkpoint that was measured.

    It is built from the suite's config: the one that was run may name a feature store that is there no more.
    """
    config, places = folder / CONFIG, facts["places"]
    opened = open_config(config, config, device, facts["seed"], places["protocol"])
    given = Path(places["weights"]) if folder == Path(places["original"]) else None
    if places.get("checkpoint") is not None:
        given = Path(places["checkpoint"])
    if given is None and opened.built.config.get("train"):
        given = folder / CHECKPOINT
    checkpoint = checkpoint_to_test(opened.built, folder, given)
    if checkpoint is not None:
        digest = file_digest(checkpoint) if checkpoint.is_file() else None
        if {point.checkpoint_sha256 for point in result.points} != {digest}:
            why = "is not the checkpoint that was measured" if digest else "was deleted"
            known = "" if asked_at(folder) is None else f", or {folder / ASKED} to keep the costs that are known"
            raise CheckpointError(
                f"{checkpoint} {why}: nothing can be timed. Delete {folder} to train it again{known}."
            )
        load_model_checkpoint(checkpoint, opened.built.model)
    opened.built.model.to(opened.built.device)
    return opened


def _of_points(opened: OpenedConfig, points: list[str]) -> Iterator[tuple[str, Costs]]:
    """Yields the costs of some operating points by name."""
    names = {unit: point_name(unit, opened.about) for unit in unit_names(opened.built.model)}
    units = [unit for unit, name in names.items() if name in points]
    for unit, costs in unit_costs(opened.built, opened.protocol, units):
        yield names[unit], costs
