"""Released units become checkpoints and configs of ours, which both harnesses load and measure without training."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from ..coding import PublishedTable, SymbolTables
from ..errors import CheckpointError, ConfigError
from ..models import SplitModel
from ..models.network import build_network
from ..ops import write_atomic
from .network_weights import network_config
from .published import PublishedUnit

__all__ = ["Calibrate", "ConvertedUnit", "Render", "convert_published_units", "unit_folder"]

Render = Callable[[str, Mapping[str, Any]], str]
"""Makes a config's text from the task and values by dotted path."""

Calibrate = Callable[[SplitModel, str], int]
"""Counts the unit's symbols over images prepared as a config's text says for its test; returns how many images."""

CHECKPOINT, CONFIG, TABLE = "checkpoint.pt", "config.yaml", "published_table.json"
UNIT = "unit"
METHOD = "spic_published"

_PROOF_SIZES = {"classification": None, "segmentation": (3, 97, 97)}
_OUTPUTS = {"classification": None, "segmentation": ("out",)}


@dataclass(frozen=True)
class ConvertedUnit:
    """A released unit and the folder it was written to.

    Attributes:
        unit: what was released.
        folder: holds `checkpoint.pt`, `config.yaml` and `published_table.json`.
        calibrated_on: images that its tables were counted on; 0 if they are the released table.
    """

    unit: PublishedUnit
    folder: Path
    calibrated_on: int = 0

    @property
    def config(self) -> Path:
        """The config that loads the checkpoint."""
        return self.folder / CONFIG


def unit_folder(unit: PublishedUnit, out: Path) -> Path:
    """Returns where a unit is written: `out/<task>/<split>/<index>`."""
    return out / unit.task / unit.split / str(unit.index)


def convert_published_units(
    units: Iterable[PublishedUnit],
    out: Path,
    render: Render,
    networks: Mapping[str, Path] | None = None,
    calibrate: Calibrate | None = None,
    overwrite: bool = False,
) -> Iterator[ConvertedUnit]:
    """Writes a checkpoint, a config and the released table of each unit, one after another.

        weights (released keys) ─► unit ────────────┐
        table ─► published_table.json               ├─► checkpoint.pt, for the model that config.yaml builds
              └► one table for all, or calibrated ──┘

    Units of one cut share one network, which is built once. Its digest is in the checkpoint: a unit is measured with
    the network it was imported for, and with no other.

    Args:
        units: what `find_published_units` found.
        out: where the folders `<task>/<split>/<index>` are made.
        render: makes the configs.
        networks: files with the original network's weights by task; without one, torchvision's are taken.
        calibrate: recounts the tables per channel and position; without it the coder uses the released table.
        overwrite: replace what was imported before.

    Raises:
        ConfigError: a folder holds an imported unit already.
        CheckpointError: the network's weights cannot be had, or a unit's weights are not what was released.
        TableError: a table that is damaged or belongs to another unit.
    """
    by_cut = sorted(units, key=lambda unit: (unit.task, unit.cut))
    for unit in by_cut:
        folder = unit_folder(unit, out)
        if not overwrite and any((folder / name).exists() for name in (CHECKPOINT, CONFIG, TABLE)):
            raise ConfigError(f"{folder} holds an imported unit; choose another --out, or pass --overwrite.")
        _ = unit.released_weights, unit.frequencies  # a bad file stops the import before anything is written
    for (task, _), group in groupby(by_cut, key=lambda unit: (unit.task, unit.cut)):
        network = network_config(task, (networks or {}).get(task))
        model: SplitModel | None = None
        for unit in group:
            model = _build_model(unit, network) if model is None else model
            table = _put_in(model, unit)
            folder = unit_folder(unit, out)
            config = render(task, _config_values(unit, folder, network, table))
            images = 0 if calibrate is None else calibrate(model, config)
            table.save(folder / TABLE)
            state = {"model": model.state_dict(), "best_value": 0.0}
            write_atomic(folder / CHECKPOINT, lambda file, state=state: torch.save(state, file))  # type: ignore[misc]
            write_atomic(folder / CONFIG, config)
            yield ConvertedUnit(unit, folder, images)


def _build_model(unit: PublishedUnit, network: Mapping[str, Any]) -> SplitModel:
    """Builds the split network once for all units of a cut; their own unit and tables are put in later."""
    point = unit.point
    try:
        original = build_network(network, unit.task)
    except (OSError, RuntimeError, CheckpointError) as error:  # nothing to fetch from, or a download that broke off
        if "src_ckpt" in network:
            raise
        raise CheckpointError(
            f"torchvision's weights of {network['key']} cannot be had ({error.__cause__ or error}): pass "
            "--network FILE with its weights."
        ) from error
    return SplitModel(
        original,
        unit.cut,
        {UNIT: _unit_arguments(unit)},
        input_size=(3, *point.image_size),
        proof_size=_PROOF_SIZES[unit.task],
        outputs=_OUTPUTS[unit.task],
        allow_bypass=point.bypassed,
    )


def _unit_arguments(unit: PublishedUnit) -> dict[str, Any]:
    """Returns `unit` of the config."""
    return {
        "latent_channels": unit.latent_channels,
        "stride": unit.stride,
        "step": unit.step,
        "geometry": {"published": {"task": unit.task, "split": unit.split}},
        "output_activation": "relu",
    }


def _put_in(model: SplitModel, unit: PublishedUnit) -> PublishedTable:
    """Puts a released unit and its table in the model's place for them, and returns the table."""
    released, counts = unit.load()
    table = PublishedTable(unit.step, counts, f"{unit.name}: {unit.table.name}, as released")
    tables = SymbolTables(
        released.latent_channels, released.latent_size(model.feature_size), alphabet_size=table.alphabet_size
    )
    tables.install_shared_counts(table.counts)
    model.units[UNIT] = released.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.tables[UNIT] = tables
    return table


def _config_values(
    unit: PublishedUnit, folder: Path, network: Mapping[str, Any], table: PublishedTable
) -> dict[str, Any]:
    """Returns what makes the shipped config of a task the config of this unit, by dotted path."""
    model = "models.model.kwargs"
    name = f"{unit.split}-{unit.index}"
    values: dict[str, Any] = {
        "_folder": str(folder.resolve()),
        f"{model}.network": dict(network),
        f"{model}.cut": unit.cut,
        f"{model}.unit": _unit_arguments(unit),
        f"{model}.tables.alphabet_size": table.alphabet_size,
        "models.model.experiment": f"published-{unit.task}-{name}",
        "result.method": METHOD,
        "result.supervision": unit.supervision,
        "result.unit": name,
    }
    if unit.point.bypassed:
        values[f"{model}.allow_bypass"] = True
    return values
