"""One unit of a bank as a pair of files, to add a rate to a model that is deployed already, and to drop one."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..coding import SymbolTables
from ..errors import CheckpointError, ConfigError, SpicError, nearest
from ..layers import BottleneckUnit
from ..ops import tensors_digest, write_atomic
from .made_for import check_made_for, digest_of_cut, digest_tensor
from .network import read_state_dict
from .split_model import SplitModel
from .unit_description import UnitDescription

__all__ = ["UnitFiles", "drop_unit", "export_unit", "load_unit"]

_TABLES = ("frequencies", "assignment", "channel_assignment")


class UnitFiles(NamedTuple):
    """A unit on disk, and what must be shipped to add its rate to a model that has the network already.

    Attributes:
        name: the unit's name.
        tensors: the `.safetensors` file.
        description: the `.json` file beside it.
        encoder_bytes: tensors of the encoder, all that a sender runs.
        decoder_bytes: tensors of the decoder, all that a receiver runs.
        unit_bytes: all tensors of the unit.
        table_bytes: its coding tables, deflated; both sides need them.
    """

    name: str
    tensors: Path
    description: Path
    encoder_bytes: int
    decoder_bytes: int
    unit_bytes: int
    table_bytes: int

    @property
    def shipped_bytes(self) -> int:
        """Unit and table together."""
        return self.unit_bytes + self.table_bytes


def export_unit(model: SplitModel, name: str, folder: str | Path, overwrites: bool = False) -> UnitFiles:
    """Writes `<name>.safetensors` and `<name>.json`, each whole or not at all.

        unit, tables ─► <name>.safetensors
        arguments, geometry, step, cut, digests of network, tables and tensors ─► <name>.json

    The counts that the tables were made from stay behind: tables that were loaded are kept by `update()`, as
    calibrated ones are.

    Args:
        model: a bank.
        name: which of its units.
        folder: where the files go; it is made if missing.
        overwrites: replace files of that name.

    Raises:
        ConfigError: no such unit, a file of that name, or a geometry of your own that no file can describe.
        TableError: the unit has no tables yet.
        OSError: the disk is full or the folder cannot be written; what was there is left as it was.
    """
    if name not in model.units:
        raise ConfigError(f"no unit `{name}`. {nearest(name, list(model.units))}")
    tensors, json = _pair(Path(folder).expanduser() / name)
    for path in (tensors, json):
        if path.exists() and not overwrites:
            raise ConfigError(f"{path} exists; choose another folder, move it away, or pass `overwrites=True`.")
    unit: BottleneckUnit = model.units[name]  # type: ignore[assignment]
    tables: SymbolTables = model.tables[name]  # type: ignore[assignment]
    coder = tables.coder
    state = {f"unit.{key}": value for key, value in unit.state_dict().items()}
    state.update({f"tables.{key}": value for key, value in tables.state_dict().items() if key in _TABLES})
    state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    description = UnitDescription(
        name,
        model.cut,
        bytes(model.network_digest.tolist()).hex(),
        list(model.default_sizes),
        **UnitDescription.of_unit(unit, model.unit_arguments[name]),
        tables=UnitDescription.of_tables(tables),
        tables_digest=coder.digest,
        tensors_digest=tensors_digest(state),
    )
    _check_shapes(description, state, f"unit `{name}`")
    from safetensors.torch import save

    write_atomic(tensors, save(state))
    try:
        write_atomic(json, description.to_json())
    except BaseException:
        if not json.exists():  # half a pair is worth nothing
            tensors.unlink(missing_ok=True)
        raise
    return _files(name, tensors, json, state, coder.table_bytes)


def load_unit(model: SplitModel, path: str | Path, name: str | None = None) -> UnitFiles:
    """Adds a unit that `export_unit` wrote to the end of a bank; every other unit and its payloads stay as they are.

    Payloads name a unit by its place in the bank (`SplitModel.unit_indices`): sender and receiver load the same units
    in the same order. The active unit stays active. Nothing is added unless all checks pass.

    Args:
        model: a bank with the network and cut that the unit was trained for.
        path: either file of the pair, or their common path without a suffix.
        name: a name of your own; by default the one it was exported under.

    Raises:
        CheckpointError: half of the pair is missing, a file is damaged or of a newer version, or the unit was made for
            another network, cut or input size.
        ConfigError: a name that is taken, or a full bank.
        TableError: its step is not that of the model's published table.
    """
    tensors, json = _pair(_stem(Path(path).expanduser()))
    for file, other in ((tensors, json), (json, tensors)):
        if not file.is_file():
            found = f"only {other.name} is there" if other.is_file() else f"nor {other.name}"
            raise CheckpointError(f"no {file} ({found}); a unit is a pair of files: copy both, or export it again.")
    description = UnitDescription.read(json)
    own = {"network_digest": model.network_digest, "cut_digest": model.cut_digest}
    made_for = {
        "network_digest": digest_tensor(description.network_digest),
        "cut_digest": digest_of_cut(description.cut),
    }
    check_made_for(made_for, own, f"{json} (cut `{description.cut}`)")
    if tuple(description.default_sizes) != model.default_sizes:
        raise CheckpointError(
            f"{json} was made at an input size with features of {description.default_sizes}, this model's are "
            f"{list(model.default_sizes)}; build the model with the `input_size` that the unit was exported with."
        )
    state = read_state_dict(tensors)
    if tensors_digest(state) != description.tensors_digest:
        raise CheckpointError(
            f"{tensors} is damaged, or belongs to another unit than {json.name}: copy both files again."
        )
    _check_shapes(description, state, str(tensors))
    channels = next(iter(model.units.values())).in_channels
    if description.unit["in_channels"] != channels:
        raise CheckpointError(
            f"{json} is for features of {description.unit['in_channels']} channels, this cut has {channels}; use the "
            "`network` and `cut` it was trained with."
        )
    with torch.device("meta"):  # no weights are drawn: the generators of the process stay as they are
        unit = description.build_unit()
    weights = {key: value.clone() for key, value in _part(state, "unit.").items()}  # the file may go, these stay
    unit.load_state_dict(weights, assign=True)
    tables = description.build_tables()
    tables.load_state_dict({**tables.state_dict(), **_part(state, "tables.")})
    tables.calibrated.fill_(True)
    coder = tables.coder
    if coder.digest != description.tables_digest:
        raise CheckpointError(f"{tensors} makes other tables than {json.name} names: export the unit again.")
    device, training = model.network_digest.device, model.training
    name = description.name if name is None else name
    model.add_unit(name, unit.to(device).train(training), tables.to(device).train(training), description.arguments())
    return _files(name, tensors, json, state, coder.table_bytes)


def drop_unit(model: SplitModel, name: str) -> dict[str, int]:
    """Takes a unit with its tables (and estimator) out of a bank; if it was the active one, the first of the rest is.

    Payloads name a unit by its place in the bank, so every unit behind the dropped one moves down by one: payloads that
    those or the dropped one made before are refused, or taken for another unit's and decoded to nonsense. Payloads of
    the units ahead of it stay good. Sender and receiver drop the same unit, while nothing is coded.

    Returns:
        The new `SplitModel.unit_indices`.

    Raises:
        ConfigError: no such unit, or the last one.
    """
    if name not in model.units:
        raise ConfigError(f"no unit `{name}`. {nearest(name, list(model.units))}")
    if len(model.units) == 1:
        raise ConfigError(f"`{name}` is the bank's last unit; load another one before dropping it.")
    for parts in (model.units, model.tables, getattr(model, "rate_estimators", {}), getattr(model, "rate_weights", {})):
        if name in parts:
            del parts[name]
    del model.unit_arguments[name]
    if model.active == name:
        model.active = next(iter(model.units))
    return model.unit_indices


def _pair(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}.safetensors"), stem.with_name(f"{stem.name}.json")


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in (".safetensors", ".json") else path


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _check_shapes(description: UnitDescription, state: Mapping[str, Tensor], where: str) -> None:
    """Refuses tensors that are not those of the unit described; nothing is allocated by what the description says."""
    try:
        with torch.device("meta"):
            unit, tables = description.build_unit().state_dict(), description.build_tables().state_dict()
    except (SpicError, TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:  # torch: too large
        raise CheckpointError(f"{where} is described as what is no unit ({error}); export it again.") from error
    wanted = {f"unit.{key}": value for key, value in unit.items()}
    wanted.update({f"tables.{key}": tables[key] for key in _TABLES})
    for key in sorted({*wanted, *state}):
        kinds = [(each[key].dtype, tuple(each[key].shape)) if key in each else None for each in (wanted, state)]
        if kinds[0] != kinds[1]:
            raise CheckpointError(
                f"{where}: `{key}` is {kinds[1]}, its description makes it {kinds[0]}; export the unit as it was built."
            )


def _files(name: str, tensors: Path, json: Path, state: Mapping[str, Tensor], table_bytes: int) -> UnitFiles:
    def size(prefix: str) -> int:
        return sum(value.numel() * value.element_size() for value in _part(state, prefix).values())

    parts = size("unit.encoder."), size("unit.decoder."), size("unit.")
    return UnitFiles(name, tensors, json, *parts, table_bytes)
