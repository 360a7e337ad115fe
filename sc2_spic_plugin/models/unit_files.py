"""One unit of a bank as a pair of files, to add a rate to a model that is deployed already, and to drop one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..coding import SymbolTables
from ..errors import CheckpointError, ConfigError
from ..layers import BottleneckUnit
from ..ops import tensors_digest, write_atomic
from ..runtime.unit_description import UnitDescription
from ..runtime.unit_pair import check_shapes, pair_paths, part, read_unit
from .arguments import checked_unit_name
from .made_for import check_made_for, digest_of_cut, digest_tensor
from .split_model import SplitModel

__all__ = ["UnitFiles", "check_exportable", "drop_unit", "export_unit", "load_unit"]


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


def check_exportable(model: SplitModel) -> None:
    """Refuses a model whose units are coded by what no file holds.

    Raises:
        ConfigError: its hyperpriors are kept.
    """
    if not model.is_coded_by_tables:
        raise ConfigError("a kept hyperprior cannot be exported; build the model with `coder: static` to ship tables.")


def export_unit(
    model: SplitModel, name: str, folder: str | Path, overwrites: bool = False, exported_as: str | None = None
) -> UnitFiles:
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
        exported_as: a name of your own for files and unit; by default its name in the bank.

    Raises:
        ConfigError: no such unit, a file of that name, a geometry of your own that no file can describe, or a unit
            that is coded by a kept hyperprior.
        TableError: the unit has no tables yet.
        OSError: the disk is full or the folder cannot be written; what was there is left as it was.
    """
    checked_unit_name(name, model.units)
    check_exportable(model)
    exported_as = name if exported_as is None else exported_as
    tensors, json = pair_paths(Path(folder).expanduser() / exported_as)
    for path in (tensors, json):
        if path.exists() and not overwrites:
            raise ConfigError(f"{path} exists; choose another folder, move it away, or pass `overwrites=True`.")
    unit: BottleneckUnit = model.units[name]  # type: ignore[assignment]
    tables: SymbolTables = model.tables[name]  # type: ignore[assignment]
    coder = tables.coder
    state = {f"unit.{key}": value for key, value in unit.state_dict().items()}
    state.update({f"tables.{key}": value for key, value in tables.state_dict().items() if key in tables.coding_buffers})
    state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    description = UnitDescription(
        exported_as,
        model.cut,
        bytes(model.network_digest.tolist()).hex(),
        list(model.default_sizes),
        **UnitDescription.of_unit(unit, model.unit_arguments[name]),
        tables=UnitDescription.of_tables(tables),
        tables_digest=coder.digest,
        tensors_digest=tensors_digest(state),
    )
    check_shapes(description, state, f"unit `{name}`")
    from safetensors.torch import save

    with _as_it_was(tensors):
        write_atomic(tensors, save(state))
        write_atomic(json, description.to_json())
    return _files(exported_as, tensors, json, state, coder.table_bytes)


@contextmanager
def _as_it_was(path: Path) -> Iterator[None]:
    """Puts a file back, or takes it away where there was none, if what replaces it cannot be finished."""
    kept = path.with_name(f".{path.name}.kept")
    kept.unlink(missing_ok=True)
    if path.exists():
        kept.hardlink_to(path)
    try:
        yield
    except BaseException:
        if kept.exists():
            kept.replace(path)
        else:
            path.unlink(missing_ok=True)
        raise
    finally:
        kept.unlink(missing_ok=True)


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
    stored = read_unit(path)
    description, json = stored.description, pair_paths(Path(path).expanduser())[1]
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
    channels = next(iter(model.units.values())).in_channels
    if description.unit["in_channels"] != channels:
        raise CheckpointError(
            f"{json} is for features of {description.unit['in_channels']} channels, this cut has {channels}; use the "
            "`network` and `cut` it was trained with."
        )
    device, training = model.network_digest.device, model.training
    name = description.name if name is None else name
    unit, tables = stored.unit.to(device).train(training), stored.tables.to(device).train(training)
    model.add_unit(name, unit, tables, description.arguments())
    return _files(name, *pair_paths(json), stored.state, tables.coder.table_bytes)


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
    checked_unit_name(name, model.units)
    if len(model.units) == 1:
        raise ConfigError(f"`{name}` is the bank's last unit; load another one before dropping it.")
    for parts in (model.units, model.tables, getattr(model, "rate_estimators", {}), getattr(model, "rate_weights", {})):
        if name in parts:
            del parts[name]
    del model.unit_arguments[name]
    if model.active == name:
        model.active = next(iter(model.units))
    return model.unit_indices


def _files(name: str, tensors: Path, json: Path, state: Mapping[str, Tensor], table_bytes: int) -> UnitFiles:
    def size(prefix: str) -> int:
        return sum(value.numel() * value.element_size() for value in part(state, prefix).values())

    parts = size("unit.encoder."), size("unit.decoder."), size("unit.")
    return UnitFiles(name, tensors, json, *parts, table_bytes)
