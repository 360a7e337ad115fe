"""Finding the released units in a clone or copy of the released repository."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, overload

import yaml

from ..errors import CheckpointError, ConfigError, nearest
from .published import PublishedUnit
from .split_points import SPLITS, TASKS

__all__ = ["PublishedUnits", "SkippedUnit", "find_published_units"]

_FIELDS = {"qp": "step", "stride_val": "stride", "out_channel": "latent_channels"}
_FILES = {"file_name": "weights", "freq_file": "table"}
_LEVELS = 4
_INDEX = "dict.yaml"


class SkippedUnit(NamedTuple):
    """A unit that the release lists and the copy lacks."""

    name: str
    """For example `classification/S1/0`."""
    missing: tuple[Path, ...]
    """Its files that are not there, or empty."""


@dataclass(frozen=True)
class PublishedUnits(Sequence[PublishedUnit]):
    """The units found, in the release's order, and those skipped because their files are missing."""

    units: tuple[PublishedUnit, ...]
    skipped: tuple[SkippedUnit, ...] = ()

    @overload
    def __getitem__(self, index: int) -> PublishedUnit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PublishedUnit, ...]: ...
    def __getitem__(self, index: int | slice) -> PublishedUnit | tuple[PublishedUnit, ...]:
        return self.units[index]

    def __len__(self) -> int:
        return len(self.units)

    def named(self, name: str) -> PublishedUnit:
        """Returns the unit of a name like `classification/S1/0`.

        Raises:
            ConfigError: there is none; the nearest names are given.
        """
        for unit in self.units:
            if unit.name == name:
                return unit
        if name in (skipped.name for skipped in self.skipped):
            raise ConfigError(f"the copy lacks the files of `{name}`: copy them, or take another unit")
        raise ConfigError(f"no released unit `{name}`. {nearest(name, [unit.name for unit in self.units])}")


def find_published_units(path: str | Path, missing: str = "error") -> PublishedUnits:
    """Finds the units of the released repository.

        PATH/Classification/dict.yaml ─┬─► qp, stride_val, out_channel
        PATH/Segmentation/dict.yaml  ──┘   file_name ─► weights, freq_file ─► table      one unit per entry

    Args:
        path: the repository, one of its two task folders, or a folder inside them (then only the units with a file in
            that folder).
        missing: `error`, or `skip` for copies that hold only some of the units; what was skipped is in `.skipped`.

    Raises:
        CheckpointError: nothing is there, or files that a dict.yaml lists are missing (which is said).
        ConfigError: a dict.yaml that is not as released, or an unknown value of `missing`.
    """
    if missing not in ("error", "skip"):
        raise ConfigError(f"`missing` is `{missing}`. {nearest(str(missing), ['error', 'skip'])}")
    path = Path(path).expanduser()
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file; give the folder of the released repository, or the file with its table and numbers "
            "(`single_published_unit`)"
        )
    if not path.is_dir():
        raise CheckpointError(f"no folder at {path}: clone the released repository (IntelLabs/spic) there")
    path = path.resolve()
    folders, inside = _task_folders(path)
    found = [unit for folder in folders for unit in _units_of(folder)]
    if inside is not None:
        found = [unit for unit in found if inside in unit.weights.parents or inside in unit.table.parents]
    skipped = tuple(SkippedUnit(unit.name, lost) for unit in found if (lost := _lost(unit)))
    if skipped and missing == "error":
        files = [f"{name} ({', '.join(map(str, lost))})" for name, lost in skipped]
        more = f" and {len(files) - 4} more" if len(files) > 4 else ""
        raise CheckpointError(
            f"{path} is incomplete, files are missing or empty: {'; '.join(files[:4])}{more}. Copy the release again, "
            "or leave these units out with missing='skip'"
        )
    names = {name for name, _ in skipped}
    units = tuple(unit for unit in found if unit.name not in names)
    if not units:
        raise CheckpointError(f"{path} holds the files of no released unit: copy weights/ and freq_tab/ there too")
    return PublishedUnits(units, skipped)


def _task_folders(path: Path) -> tuple[list[Path], Path | None]:
    """Returns the folders with a dict.yaml, and the folder that the user limited the search to."""
    below = [folder for task in TASKS if (folder := path / task.capitalize()).is_dir()]
    if below:
        for folder in below:
            if not (folder / _INDEX).is_file():
                raise CheckpointError(f"{folder} has no {_INDEX}: copy the release again, or name the other folder")
        return below, None
    for folder in (path, *path.parents[:_LEVELS]):
        if (folder / _INDEX).is_file():
            return [folder], None if folder == path else path
    raise CheckpointError(
        f"{path} is no copy of the released repository: it has no Classification/{_INDEX} or Segmentation/{_INDEX}"
    )


def _lost(unit: PublishedUnit) -> tuple[Path, ...]:
    """Returns the unit's files that are not there, or empty."""
    paths = (unit.weights, unit.table)
    return tuple(path for path in paths if not path.is_file() or not path.stat().st_size)


def _units_of(folder: Path) -> Iterator[PublishedUnit]:
    """Reads one dict.yaml."""
    task = folder.name.lower()
    if task not in TASKS:
        raise ConfigError(f"{folder} must be named Classification or Segmentation, as released, to tell which it is")
    index_file = folder / _INDEX
    try:
        content = yaml.safe_load(index_file.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{index_file} cannot be read ({error}): copy the released file again") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{index_file} lists no units: copy the released file again")
    for split, entries in content.items():
        if split not in SPLITS:
            raise ConfigError(f"{index_file} lists split `{split}`. {nearest(str(split), SPLITS)}")
        if not isinstance(entries, dict) or not entries:
            raise ConfigError(f"{index_file} lists no units for split {split}: copy the released file again")
        for index, entry in entries.items():
            try:
                yield _unit(folder, task, split, index, entry)
            except ConfigError as error:
                raise ConfigError(f"{index_file}, {split}/{index}: {error}") from error


def _unit(folder: Path, task: str, split: str, index: Any, entry: Any) -> PublishedUnit:
    known = {**_FIELDS, **_FILES}
    if not str(index).isdigit():
        raise ConfigError(f"the number of a unit must be 0 or more, got {index!r}")
    if not isinstance(entry, Mapping):
        raise ConfigError(f"expected {', '.join(known)}")
    for key in entry:
        if key not in known:
            raise ConfigError(f"unknown key `{key}`. {nearest(str(key), known)}")
    lacking = [key for key in known if key not in entry]
    if lacking:
        raise ConfigError(f"it lacks {', '.join(f'`{key}`' for key in lacking)}: copy the released file again")
    values: dict[str, Any] = {ours: entry[theirs] for theirs, ours in _FIELDS.items()}
    values |= {ours: _inside(folder, entry[theirs]) for theirs, ours in _FILES.items()}
    return PublishedUnit(task, split, int(index), **values)


def _inside(folder: Path, name: Any) -> Path:
    """Returns a path below the folder; nothing outside it is ever opened."""
    relative = Path(str(name))
    if not isinstance(name, str) or relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ConfigError(f"`{name}` is no file below {folder}")
    return folder / relative
