"""A unit with its coding tables as a pair of files: where they are, and reading them back, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..coding import SymbolTables
from ..errors import CheckpointError, SpicError
from ..layers import BottleneckUnit
from ..ops import tensors_digest
from .unit_description import UnitDescription

__all__ = ["StoredUnit", "check_shapes", "pair_paths", "part", "read_unit"]


class StoredUnit(NamedTuple):
    """What a pair of files holds.

    Attributes:
        description: the `.json` file.
        state: the tensors of the `.safetensors` file: `unit.*` and `tables.*`.
        unit: built, with its weights, in training mode as any new module.
        tables: built and ready; `update` keeps them.
    """

    description: UnitDescription
    state: dict[str, Tensor]
    unit: BottleneckUnit
    tables: SymbolTables


def pair_paths(path: Path) -> tuple[Path, Path]:
    """Returns the `.safetensors` and the `.json` file of either of them, or of their common path without a suffix."""
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    return stem.with_name(f"{stem.name}.safetensors"), stem.with_name(f"{stem.name}.json")


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the tensors whose names begin with `prefix`, by the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def read_unit(path: str | Path) -> StoredUnit:
    """Reads a unit that `export_unit` wrote; whether it belongs to a network is for the caller to check.

    Args:
        path: either file of the pair, or their common path without a suffix.

    Raises:
        CheckpointError: half of the pair is missing, a file is damaged or of a newer version, or they do not belong
            together.
    """
    tensors, json = pair_paths(Path(path).expanduser())
    for file, other in ((tensors, json), (json, tensors)):
        if not file.is_file():
            found = f"only {other.name} is there" if other.is_file() else f"nor {other.name}"
            raise CheckpointError(f"no {file} ({found}); a unit is a pair of files: copy both, or export it again.")
    description = UnitDescription.read(json)
    state = _read_tensors(tensors)
    if tensors_digest(state) != description.tensors_digest:
        raise CheckpointError(
            f"{tensors} is damaged, or belongs to another unit than {json.name}: copy both files again."
        )
    check_shapes(description, state, str(tensors))
    with torch.device("meta"):  # no weights are drawn: the generators of the process stay as they are
        unit = description.build_unit()
    weights = {key: value.clone() for key, value in part(state, "unit.").items()}  # the file may go, these stay
    unit.load_state_dict(weights, assign=True)
    tables = description.build_tables()
    tables.load_state_dict({**tables.state_dict(), **part(state, "tables.")})
    tables.calibrated.fill_(True)
    if tables.coder.digest != description.tables_digest:
        raise CheckpointError(f"{tensors} makes other tables than {json.name} names: export the unit again.")
    return StoredUnit(description, state, unit, tables)


def check_shapes(description: UnitDescription, state: Mapping[str, Tensor], where: str) -> None:
    """Refuses tensors that are not those of the unit described; nothing is allocated by what the description says.

    Raises:
        CheckpointError: the description makes no unit, or one of other tensors.
    """
    try:
        with torch.device("meta"):
            unit, built = description.build_unit().state_dict(), description.build_tables()
            tables = {key: value for key, value in built.state_dict().items() if key in built.coding_buffers}
    except (SpicError, TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:  # torch: too large
        raise CheckpointError(f"{where} is described as what is no unit ({error}); export it again.") from error
    wanted = {f"unit.{key}": value for key, value in unit.items()}
    wanted.update({f"tables.{key}": value for key, value in tables.items()})
    for key in sorted({*wanted, *state}):
        kinds = [(each[key].dtype, tuple(each[key].shape)) if key in each else None for each in (wanted, state)]
        if kinds[0] != kinds[1]:
            raise CheckpointError(
                f"{where}: `{key}` is {kinds[1]}, its description makes it {kinds[0]}; export the unit as it was built."
            )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy it again, or export the unit again.") from error
