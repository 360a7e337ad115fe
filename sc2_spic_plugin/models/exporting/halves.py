"""Writing a model as a device half and a server half that run without the hosts, and adding a rate to them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ...coding.payload import MAX_UNITS
from ...errors import CheckpointError, ConfigError, CutError, TableError, nearest
from ...ops import write_atomic
from ...runtime.manifest import DEVICE, MANIFEST, PROGRAMS, SERVER, UNITS, Manifest
from ...runtime.unit_description import UnitDescription
from ..split_model import SplitModel
from ..unit_files import UnitFiles, check_exportable, export_unit
from .network import export_network

__all__ = ["ExportedHalves", "add_units", "export_halves"]


class ExportedHalves(NamedTuple):
    """What was written.

    Attributes:
        device: folder of the device half.
        server: folder of the server half.
        units: the units' files on the device side; those on the server side are the same.
        first_index: the index by which payloads name the first of these units.
        any_size: whether the halves take images of any size, or of `input_size` alone.
    """

    device: Path
    server: Path
    units: list[UnitFiles]
    first_index: int
    any_size: bool


def export_halves(
    model: SplitModel,
    out: str | Path,
    task: str,
    units: Mapping[str, str] | None = None,
    preprocessing: list[dict[str, Any]] | None = None,
    classes: Sequence[str] | None = None,
    overwrites: bool = False,
) -> ExportedHalves:
    """Writes `OUT/device` and `OUT/server`; each is complete without the other.

        front_end -> torch.export -> device/front_end.pt2     units, tables -> device/units/NAME.*
        back_end  -> torch.export -> server/back_end.pt2                    -> server/units/NAME.*

    The network is exported for any batch and, where torch can, for any image size; it is then run from its files and
    compared with the model, bit for bit. The manifests are written last: a half without one was not finished.

    Args:
        model: a model whose tables are ready (`update()`).
        out: the folder; it is made if missing.
        task: `classification` or `segmentation`.
        units: the names under which units are exported by their names in the bank, in the order in which payloads
            count them; None: all, as they are.
        preprocessing: steps of `runtime.prepare`; None: the halves take tensors only.
        classes: names of the classes.
        overwrites: replace an export that is there.

    Raises:
        ConfigError: no such unit, an export is there, or the model is on another device.
        CutError: a bypassed cut, or a network that cannot be exported.
        TableError: a unit has no tables yet.
        OSError: the disk is full or the folder cannot be written.
    """
    out = Path(out).expanduser()
    for half in (DEVICE, SERVER):
        if (out / half / MANIFEST).exists() and not overwrites:
            raise ConfigError(f"{out / half} holds an export; choose another folder, or pass --overwrite or --add.")
    if model.bypassed:
        raise CutError(
            f"the cut `{model.cut}` is bypassed: tensors cross beside the payload, which no half sends. Use a true cut."
        )
    if model.network_digest.device.type != "cpu":
        raise ConfigError("only a model on the CPU is exported; move it there first (`model.cpu()`).")
    names = _checked_names(model, units)
    programs, any_size = export_network(model)
    exported = [_export_pair(model, *pair, out) for pair in names.items()]
    shared: dict[str, Any] = {
        "task": task,
        "cut": model.cut,
        "network_digest": bytes(model.network_digest.tolist()).hex(),
        "input_size": list(model.input_size),
        "default_sizes": list(model.default_sizes),
        "any_size": any_size,
        "units": [_entry(files) for files in exported],
    }
    own: dict[str, dict[str, Any]] = {
        DEVICE: {"preprocessing": preprocessing},
        SERVER: {"classes": None if classes is None else list(classes)},
    }
    for half, program in programs.items():
        write_atomic(out / half / PROGRAMS[half], program)
    for half, program in programs.items():
        sha256 = hashlib.sha256(program).hexdigest()
        Manifest(half=half, program_sha256=sha256, **shared, **own[half]).write(out / half)
    return ExportedHalves(out / DEVICE, out / SERVER, exported, 0, any_size)


def add_units(model: SplitModel, out: str | Path, units: Mapping[str, str] | None = None) -> ExportedHalves:
    """Adds units to the end of an export; the network parts and all other units stay as they are.

    Args:
        model: a model of the network and cut that was exported.
        out: the folder of the export, with both halves.
        units: as those of `export_halves`.

    Raises:
        ConfigError: no such unit, a name that the export has, or no room for more.
        CheckpointError: no export is there, the halves differ, or it is of another network, cut or input size.
        TableError: a unit has no tables yet.
    """
    out = Path(out).expanduser()
    manifests = {half: Manifest.read(out / half, half) for half in (DEVICE, SERVER)}
    first, second = manifests.values()
    if first.bank_digest(len(first.units)) != second.bank_digest(len(second.units)):
        raise CheckpointError(f"{out / DEVICE} and {out / SERVER} are of different exports; export the model again.")
    names = _checked_names(model, units)
    for name, exported_as in names.items():
        if exported_as in first.names:
            raise ConfigError(f"the export has a unit `{exported_as}`; pass --unit {name}=ANOTHER_NAME.")
    if len(first.units) + len(names) > MAX_UNITS:
        raise ConfigError(f"an export has at most {MAX_UNITS} units; begin another one.")
    ours = (bytes(model.network_digest.tolist()).hex(), model.cut, list(model.default_sizes))
    if ours != (first.network_digest, first.cut, first.default_sizes):
        raise CheckpointError(
            f"{out} is an export of another network, or of cut `{first.cut}` at sizes {first.default_sizes} (this "
            f"model: cut `{model.cut}`, {list(model.default_sizes)}); add units that were trained for that network "
            "and cut."
        )
    exported = [_export_pair(model, *pair, out) for pair in names.items()]
    for half, manifest in manifests.items():
        replace(manifest, units=[*manifest.units, *map(_entry, exported)]).write(out / half)
    return ExportedHalves(out / DEVICE, out / SERVER, exported, len(first.units), first.any_size)


def _checked_names(model: SplitModel, units: Mapping[str, str] | None) -> dict[str, str]:
    check_exportable(model)
    names = {name: name for name in model.units} if units is None else dict(units)
    for name, exported_as in names.items():
        if name not in model.units:
            raise ConfigError(f"no unit `{name}`. {nearest(name, list(model.units))}")
        if not exported_as.isidentifier():
            raise ConfigError(f"`{exported_as}` cannot name a unit; choose another name of letters, digits and _.")
    if len(set(names.values())) != len(names):
        raise ConfigError(f"two units would be exported under one name: {', '.join(names.values())}.")
    for name in names:
        if not model.tables[name].is_ready:
            raise TableError(f"unit `{name}` has no tables yet: train it, or run `sc2-spic calibrate` first.")
    return names


def _export_pair(model: SplitModel, name: str, exported_as: str, out: Path) -> UnitFiles:
    """Writes a unit's files into both halves; what no manifest names is replaced."""
    export_unit(model, name, out / SERVER / UNITS, overwrites=True, exported_as=exported_as)
    return export_unit(model, name, out / DEVICE / UNITS, overwrites=True, exported_as=exported_as)


def _entry(files: UnitFiles) -> dict[str, str]:
    return {"name": files.name, "digest": UnitDescription.read(files.description).digest}
