"""Importing the released units: what `sc2-spic import` does."""

import importlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.table import Table
from torch.utils.data import DataLoader

from ..configs import render_config, resolve_config
from ..configs.plain import CALL, load_plain
from ..datasets import FlatImageFolder
from ..errors import ConfigError
from ..importers import CheckRow, PublishedUnit, check_rows, find_published_units, single_published_unit
from ..importers.convert import Calibrate, ConvertedUnit, convert_published_units
from ..importers.find import PublishedUnits, SkippedUnit
from ..importers.network_weights import networks_by_task
from ..models import SplitModel
from ..training.build import quiet_hosts
from ..training.calibrate import calibrate
from .progress import Reporter, reporter

__all__ = ["ImportOptions", "check_table", "import_units", "summary_table", "units_to_import"]

_SINGLE = ("table", "task", "split", "step", "stride", "latent_channels")


@dataclass(frozen=True)
class ImportOptions:
    """Where the units come from and go to.

    Attributes:
        source: the released repository, or the checkpoint of one unit.
        names: units to take, like `classification/S1/0`, or all below `classification/S1`; empty for all.
        single: `table`, `task`, `split`, `step`, `stride` and `latent_channels` of the unit if `source` is a file.
    """

    source: Path
    names: Sequence[str] = ()
    single: Mapping[str, Any] | None = None


def units_to_import(options: ImportOptions) -> PublishedUnits:
    """Finds the units that were asked for; those whose files are missing are in `.skipped`.

    Raises:
        SpicError: nothing is there, no unit has that name, or the numbers of a single unit are missing or wrong.
    """
    given = {key: value for key, value in (options.single or {}).items() if value is not None}
    if options.source.is_file():
        missing = [f"--{key.replace('_', '-')}" for key in _SINGLE if key not in given]
        if missing:
            raise ConfigError(f"{options.source} is one checkpoint; give {', '.join(missing)} of its unit too.")
        rest = {key: value for key, value in given.items() if key != "table"}
        return PublishedUnits((single_published_unit(options.source, given["table"], **rest),))
    if given:
        options_given = ", ".join(f"--{key.replace('_', '-')}" for key in given)
        raise ConfigError(f"{options_given} go with one checkpoint, {options.source} is a folder; give --unit instead.")
    found = find_published_units(options.source, missing="skip")
    if not options.names:
        return found
    chosen: dict[str, PublishedUnit] = {}
    for name in options.names:
        below = [unit for unit in found if unit.name.startswith(f"{name.rstrip('/')}/")]
        chosen |= {unit.name: unit for unit in below or [found.named(name)]}
    return PublishedUnits(tuple(chosen.values()))


def import_units(
    units: Sequence[PublishedUnit],
    out: Path,
    networks: Sequence[Path] = (),
    images: Path | None = None,
    overwrite: bool = False,
) -> list[ConvertedUnit]:
    """Converts units below `out` and shows progress.

    Args:
        units: the units.
        out: folder for `<task>/<split>/<index>`.
        networks: files with the weights of the original networks; torchvision's otherwise.
        images: a folder of images to count the coding tables on; the released tables otherwise.
        overwrite: replace what was imported before.

    Raises:
        SpicError: units or networks that cannot be read, or outputs that exist.
    """
    quiet_hosts()
    order = [unit.name for unit in units]
    converted: list[ConvertedUnit] = []
    with reporter("import") as progress:
        counting = None if images is None else _calibration(images, progress)
        found = convert_published_units(units, out, _render, networks_by_task(networks), counting, overwrite)
        for unit in found:
            converted.append(unit)
            progress.step("units", len(converted), len(units))
    return sorted(converted, key=lambda unit: order.index(unit.unit.name))


def _render(task: str, values: Mapping[str, Any]) -> str:
    """Returns the shipped config of a task with values replaced."""
    return render_config(resolve_config(f"published/{task}").read_text(), values)


def _calibration(folder: Path, progress: Reporter) -> Calibrate:
    """Returns what counts a unit's symbols over a folder of images, prepared as its config prepares test images."""

    def count(model: SplitModel, config: str) -> int:
        data = FlatImageFolder(folder, _evaluation_transform(config))
        loader = DataLoader(data, batch_size=8)
        return calibrate(model, loader, torch.device("cpu"), lambda done: progress.step("images", done, len(data)))

    return count


def _evaluation_transform(config: str) -> Any:
    """Builds the transform of a config's test images without their data set, which need not be there."""
    plain = load_plain(config)
    dataset = plain["datasets"][plain["test"]["test_data_loader"]["dataset_id"]]
    arguments = dataset["init"]["kwargs"]
    if "transform" in arguments:
        return _built(arguments["transform"])
    joint = _built(arguments["transforms"])
    return lambda image: joint(image, Image.new("L", image.size))[0]


def _built(plain: Any) -> Any:
    """Builds the `!import_call`s of a plain config."""
    if isinstance(plain, list):
        return [_built(item) for item in plain]
    if not isinstance(plain, Mapping):
        return plain
    if CALL not in plain:
        return {key: _built(value) for key, value in plain.items()}
    module, _, name = str(plain["key"]).rpartition(".")
    found = getattr(importlib.import_module(module), name)
    if plain[CALL] == "import_get":
        return found
    init = plain.get("init") or {}
    return found(*_built(init.get("args") or []), **_built(init.get("kwargs") or {}))


def check_table(units: Sequence[PublishedUnit]) -> Table:
    """Returns what each unit is, costs by its own table, and what is odd about it."""
    columns = ("unit", "cut", "S", "C_r", "Q", "parameters", "bpp Huffman", "bpp ideal", "saved", "odd")
    table = Table(title="released units")
    for column in columns:
        table.add_column(column, justify="left" if column in ("unit", "cut", "odd") else "right", overflow="fold")
    with reporter("check") as progress:
        for done, unit in enumerate(units, 1):
            _ = unit.released_weights, unit.frequencies  # kept; reading them takes nearly all the time
            progress.step("units", done, len(units))
    rows = check_rows(units)
    shared = set.intersection(*(set(row.oddities) for row in rows)) if len(rows) > 1 else set()
    if shared:
        table.caption = "all of them: " + "; ".join(sorted(shared))
    for row in rows:
        table.add_row(*_cells(row, shared))
    return table


def _cells(row: CheckRow, shared: Set[str]) -> list[str]:
    return [
        row.name,
        row.cut,
        str(row.stride),
        str(row.latent_channels),
        f"{row.step:g}",
        f"{row.parameters:,}",
        f"{row.huffman_bpp:.5f}",
        f"{row.ideal_bpp:.5f}",
        f"{row.saving_percent:.1f} %",
        "; ".join(oddity for oddity in row.oddities if oddity not in shared),
    ]


def summary_table(converted: Sequence[ConvertedUnit], skipped: Sequence[SkippedUnit], out: Path) -> Table:
    """Returns what was converted, with which tables, and what was skipped and why."""
    table = Table(
        title=f"{len(converted)} units imported to {out}, {len(skipped)} skipped",
        caption="measure one with `sc2-spic run OUT/UNIT/config.yaml --test-only --out FOLDER`",
    )
    for column in ("unit", "cut", "S", "C_r", "Q", "coding tables"):
        table.add_column(column, overflow="fold")
    for each in converted:
        unit = each.unit
        counted = f"counted on {each.calibrated_on} images" if each.calibrated_on else "the released one"
        cut = f"{unit.cut} (bypassed)" if unit.point.bypassed else unit.cut
        table.add_row(unit.name, cut, str(unit.stride), str(unit.latent_channels), f"{unit.step:g}", counted)
    for name, missing in skipped:
        table.add_row(name, "", "", "", "", f"skipped: {', '.join(path.name for path in missing)} missing")
    return table
