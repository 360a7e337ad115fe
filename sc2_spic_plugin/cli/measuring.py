"""What a run measures: each unit on the report images, what it costs, and the result file that says so."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.utils.data import RandomSampler

from ..errors import ConfigError, SpicError
from ..leaderboard import Meta, Point, Protocol, ResultFile, per_image_csv_path, write_per_image_csv
from ..leaderboard.costs import Costs, measure_costs
from ..leaderboard.evaluation import Evaluation, Metric, build_metric, evaluate, evaluate_units
from ..models import SplitModel
from ..ops.ranks import is_first, world_size
from ..training.build import BuiltConfig
from ..training.distributed import own_batches
from ..training.loading import build_loader
from .progress import console

__all__ = [
    "Measured",
    "MeasuredPoint",
    "measure",
    "measure_unit_costs",
    "point_name",
    "shipped",
    "unit_costs",
    "unit_names",
]

_UNNAMED = ("", "unit")
"""What is measured where a model has no units, and a unit that its config gives no name."""


class MeasuredPoint(NamedTuple):
    """An operating point and what was measured on each image."""

    point: Point
    evaluation: Evaluation


@dataclass(frozen=True)
class Measured:
    """What a run measured: one point, or one for each unit of a bank, with what belongs beside them."""

    name: str
    description: str
    points: Sequence[MeasuredPoint]
    meta: Meta

    @property
    def point(self) -> Point:
        """The first point; the only one but for a bank."""
        return self.points[0].point

    @property
    def evaluation(self) -> Evaluation:
        """What was measured for the first point."""
        return self.points[0].evaluation

    def result(self) -> ResultFile:
        """Returns the result file of all points."""
        return ResultFile(self.name, self.description, [each.point for each in self.points], self.meta)

    def save(self, path: Path) -> ResultFile:
        """Writes the result file, in place of what is there, and a per-image table for each point beside it.

        Of several processes, the first writes.
        """
        result = self.result()
        if not is_first():
            return result
        for each in self.points:
            write_per_image_csv(per_image_csv_path(path, each.point.unit), each.evaluation.rows())
        result.save(path, overwrite=True)  # last: who finds it finds all
        return result


def shipped(model: nn.Module, unit: str) -> dict[str, int | float | str]:
    """Returns what a SPIC unit adds to the network on both sides: its parameters, and the bytes of what codes it."""
    if not isinstance(model, SplitModel):
        return {}
    parameters = sum(parameter.numel() for parameter in model.units[unit].parameters())
    return {"unit_parameters": parameters, "table_bytes": model.coder_of(unit).table_bytes}


def unit_names(model: nn.Module) -> list[str]:
    """Returns the units of a bank; `[""]` for other models."""
    return list(model.units) if isinstance(model, SplitModel) else [""]


def point_name(unit: str, about: Mapping[str, Any]) -> str:
    """Returns what the operating point of a unit is called; `about` is what the config says about its result."""
    return unit if unit not in _UNNAMED else about.get("unit") or about["name"]


def unit_costs(built: BuiltConfig, protocol: Protocol, units: Sequence[str]) -> Iterator[tuple[str, Costs]]:
    """Yields each unit with what the model costs beside its bits; the active unit is the same afterwards.

    Args:
        built: the config; its model codes already.
        protocol: says how latency is measured.
        units: of a bank; `[""]` for other models.

    Raises:
        SpicError: the model cannot be measured: its two sides are not known, or it has no tables.
    """
    dataset, model = built.datasets[protocol.report], built.model
    images = [dataset[index][0] for index in range(min(protocol.timing.repeats, len(dataset)))]
    active = getattr(model, "active", None)
    try:
        for unit in units:
            if unit:
                model.select(unit)  # type: ignore[operator]
            yield unit, measure_costs(model, images, protocol)
    finally:
        if active is not None:
            model.select(active)  # type: ignore[operator]


def measure_unit_costs(
    built: BuiltConfig, protocol: Protocol, units: Sequence[str], report: Callable[[str, int, int], None]
) -> dict[str, Costs]:
    """Returns by unit what `unit_costs` yields; nothing of a model that cannot be measured, which is said.

    Args:
        built: the config; its model codes already.
        protocol: says how latency is measured.
        units: of a bank; `[""]` for other models.
        report: called with a description, units done and units in all.
    """
    found: dict[str, Costs] = {}
    report("timing", 0, len(units))
    try:
        for unit, costs in unit_costs(built, protocol, units):
            found[unit] = costs
            report("timing", len(found), len(units))
    except SpicError as error:  # hours of training end here: a point without its costs is better than none
        console.print(f"encoder size, operations and latency are left out: {error}", soft_wrap=True, highlight=False)
    return found


def measure(built: BuiltConfig, protocol: Protocol, report: Any) -> dict[str, Evaluation]:
    """Evaluates the built model on the protocol's report images, batched as the config's test loader says.

    Returns:
        What was measured, by unit; one entry, called "" where the model has no units.
    """
    loader = build_loader(built, built.config["test"]["test_data_loader"])
    if isinstance(loader.sampler, RandomSampler):
        raise ConfigError("the test loader draws images at random; use torch.utils.data.SequentialSampler.")
    dataset = loader.dataset
    ids = list(getattr(dataset, "ids", None) or [str(index) for index in range(len(dataset))])
    loader, total = own_batches(loader), math.ceil(len(ids) / world_size())
    denominator = protocol.denominator
    pixels = None if isinstance(denominator, str) else denominator

    def progress(done: int) -> None:
        report("measuring", done, total)

    def build() -> Metric:
        return build_metric(protocol, list(getattr(dataset, "classes", None) or []))

    if isinstance(built.model, SplitModel):
        return evaluate_units(built.model, loader, ids, pixels, built.device, progress, build)
    return {"": evaluate(built.model, loader, ids, pixels, built.device, progress, build())}
