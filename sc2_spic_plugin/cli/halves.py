"""`sc2-spic export`, `encode` and `decode`: a model as two halves on disk, and each half at work."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import CheckpointError, ConfigError, DataError
from .options import Config, Set
from .progress import console

if TYPE_CHECKING:
    from ..models.exporting import ExportedHalves
    from ..runtime import ServerHalf

__all__ = ["decode", "encode", "export"]

Halves = Annotated[Path, typer.Option("--halves", help="what `sc2-spic export` wrote, or the half alone")]


def export(
    config: Config,
    out: Annotated[Path, typer.Option(help="folder for device/ and server/")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="by default the one beside the config, else the config's `dst_ckpt`")
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="NAME[=NEW_NAME]", help="only this unit, under this name; repeatable")
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="add the units to the export that is there")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an export that is there")] = False,
    seed: Annotated[int, typer.Option(help="of networks with random weights, as in the run")] = 0,
    values: Set = None,
) -> None:
    """Write a device half and a server half that run without sc2bench and torchdistill."""
    import tempfile

    from ..models import SplitModel
    from ..models.exporting import add_units, export_halves
    from ..models.unit_files import check_exportable
    from ..training.checkpoint import load_model_checkpoint
    from .opening import open_config
    from .overrides import parse_overrides
    from .preparing import checkpoint_of

    with tempfile.TemporaryDirectory() as folder:
        opened = open_config(config, Path(folder) / "config.yaml", "cpu", seed, None, parse_overrides(values))
    model: Any = opened.built.model
    if not isinstance(model, SplitModel):
        raise ConfigError(f"the model of {opened.path} is not split, so it has no halves; give the config of a unit.")
    check_exportable(model)
    load_model_checkpoint(checkpoint or checkpoint_of(opened.path, opened.built), model)
    model.eval().update()
    units = _units(unit)
    if add:
        written = add_units(model, out, units)
    else:
        dataset = opened.built.datasets[opened.built.config["test"]["test_data_loader"]["dataset_id"]]
        classes = getattr(dataset, "classes", None)
        written = export_halves(
            model,
            out,
            opened.protocol.task,
            units,
            _preprocessing(dataset),
            None if classes is None else [name if isinstance(name, str) else ", ".join(name) for name in classes],
            overwrite,
        )
    _print_export(written, add)


def encode(
    images: Annotated[list[Path], typer.Argument(help="image files")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the file to write, with a payload for each image")],
    halves: Halves = Path(),
    unit: Annotated[str | None, typer.Option(help="which unit: the rate; by default the export's first")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file that is there")] = False,
) -> None:
    """Turn images into the bytes that a device sends, all in one file."""
    from ..ops import write_atomic
    from ..ops.pictures import read_image
    from ..runtime import DeviceHalf

    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists; choose another -o, or pass --overwrite.")
    half = DeviceHalf(halves)
    payloads = []
    for image in images:
        payloads += half.encode(half.prepare(read_image(image))[None], unit)
        typer.echo(f"{image}: {len(payloads[-1])} bytes")
    container = half.pack(payloads)
    write_atomic(out, container)
    total = sum(map(len, payloads))
    typer.echo(
        f"{out}: {len(images)} images with unit {unit or half.units[0]}, {total} bytes of payload, {len(container)} "
        "with magic, digest, lengths and checksum"
    )


def decode(
    file: Annotated[Path, typer.Argument(help="a file that `sc2-spic encode` wrote")],
    halves: Halves = Path(),
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="of segmentation: the .png of the one mask, or a folder for all masks"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="of classification: how many classes to print")] = 5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace masks that are there")] = False,
) -> None:
    """Turn the bytes of a device into the server's answer: classes, or a mask for each image."""
    from ..runtime import ServerHalf

    if not file.is_file():
        raise DataError(f"there is no file at {file}; correct the path.")
    half = ServerHalf(halves)
    payloads = half.unpack(file.read_bytes())
    if out is not None and half.manifest.task != "segmentation":
        raise ConfigError("this export classifies, so there are no masks to write; leave out -o.")
    masks = [None] * len(payloads) if out is None else _mask_paths(out, len(payloads), overwrite)
    for number, (payload, mask) in enumerate(zip(payloads, masks, strict=True), 1):
        typer.echo(f"{number}: {_answer(half, payload, top, mask)}")


def _answer(half: "ServerHalf", payload: bytes, top: int, mask: Path | None) -> str:
    """Decodes one payload, writes its mask if asked for, and says what the output is."""
    import io

    from ..ops import write_atomic
    from ..runtime import class_name, class_shares, first_classes, label_map, mask_image, scores_of

    scores = scores_of(half.decode([payload]))[0]
    names = half.manifest.classes
    names = names if names is not None and len(names) == len(scores) else None
    if scores.dim() == 1:
        return _percentages([(class_name(names, index), share) for index, share in first_classes(scores, top)])
    labels = label_map(scores)
    said = f"{labels.shape[1]} x {labels.shape[0]} pixels, "
    said += _percentages([(class_name(names, index), share) for index, share in class_shares(labels)])
    if mask is None:
        return said
    buffer = io.BytesIO()
    mask_image(labels).save(buffer, format="png")
    return f"{write_atomic(mask, buffer.getvalue())}, {said}"


def _percentages(shares: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares)


def _mask_paths(out: Path, count: int, overwrites: bool) -> list[Path]:
    if out.suffix.lower() == ".png" and count != 1:
        raise ConfigError(f"there are {count} masks to write, not one; give a folder as -o.")
    digits = len(str(count))
    paths = [out] if out.suffix.lower() == ".png" else [out / f"{number + 1:0{digits}}.png" for number in range(count)]
    for path in paths:
        if path.exists() and not overwrites:
            raise ConfigError(f"{path} exists; choose another -o, or pass --overwrite.")
    return paths


def _units(asked: Sequence[str] | None) -> dict[str, str] | None:
    """Parses `NAME` and `NAME=NEW_NAME`."""
    if not asked:
        return None
    pairs = [text.partition("=") for text in asked]
    return {name: new_name if equals else name for name, equals, new_name in pairs}


def _preprocessing(dataset: Any) -> list[dict[str, Any]] | None:
    """Returns the steps of a data set's transform, tried on a picture; None, with a word why, if they are not ours."""
    import numpy as np
    import torch
    from PIL import Image

    from ..leaderboard.picture import network_input
    from ..runtime import describe_transform, prepare

    pixels = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    transform = getattr(dataset, "transform", None) or getattr(dataset, "transforms", None)
    try:
        steps = describe_transform(transform)
        if torch.equal(prepare(picture, steps), network_input(dataset, picture)):
            return steps
        reason = "the steps that stand for it give other values."
    except (ConfigError, CheckpointError) as error:
        reason = str(error)
    console.print(
        f"the test transform of this config cannot be exported: {reason} `sc2-spic encode` will refuse pictures; "
        "prepare them yourself and use `sc2_spic_plugin.runtime.DeviceHalf` from Python.",
        soft_wrap=True,
        markup=False,
    )
    return None


def _print_export(written: "ExportedHalves", added: bool) -> None:
    """Prints the size of every part, and what to ship for each rate."""
    import sys

    from rich.console import Console
    from rich.table import Table

    from ..runtime.manifest import DEVICE, PROGRAMS, SERVER

    printed = Console(width=None if sys.stdout.isatty() else 180)
    for half, folder in ((DEVICE, written.device), (SERVER, written.server)):
        size = (folder / PROGRAMS[half]).stat().st_size
        printed.print(f"{folder}: {PROGRAMS[half]} {size:,} bytes{', as it was' if added else ''}", soft_wrap=True)
    if not written.any_size:
        printed.print("the network could be exported for images of the config's `input_size` alone", soft_wrap=True)
    table = Table("unit", title="bytes to ship to add a rate")
    for column in ("index", "encoder", "decoder", "whole unit", "table", "unit + table", "both files on disk"):
        table.add_column(column, justify="right")
    for index, files in enumerate(written.units, written.first_index):
        on_disk = files.tensors.stat().st_size + files.description.stat().st_size
        sizes = (files.encoder_bytes, files.decoder_bytes, files.unit_bytes, files.table_bytes, files.shipped_bytes)
        table.add_row(files.name, str(index), *(f"{size:,}" for size in (*sizes, on_disk)))
    printed.print(table)
    if added:
        printed.print("copy the new units/NAME.* and manifest.json to both sides; nothing else has changed")
