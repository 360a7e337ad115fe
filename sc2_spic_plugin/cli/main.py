"""The console command `sc2-spic`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ..errors import ConfigError, SpicError
from ..version import __version__
from .bench import bench
from .comparing import leaderboard, plot, report
from .converting import convert
from .halves import decode, encode, export
from .options import Config, Set
from .overrides import parse_overrides
from .progress import console
from .publishing import published
from .run import run
from .searching import search
from .shipped_configs import configs_app

__all__ = ["app", "main"]

app = typer.Typer(
    help="SPIC in the compression benchmark harness: train, measure in real bytes, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(configs_app, name="configs")
app.command()(run)


@app.command()
def cache(
    config: Config,
    out: Annotated[Path, typer.Option(help="folder of the store; a store that was not finished is gone on with")],
    views: Annotated[int, typer.Option(help="how often each training image is drawn")] = 2,
    subset: Annotated[int | None, typer.Option(help="so many training images instead of all")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16 (autocast), or auto: bf16 where the device computes in it")
    ] = "fp32",
    seed: Annotated[int, typer.Option(help="of the views")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="write more than 10 GB without asking")] = False,
    source: Annotated[
        Path | None, typer.Option(help="a store of an earlier cut, carried on from there instead of from images")
    ] = None,
    values: Set = None,
) -> None:
    """Compute the front-end once for many trainings: `sc2-spic run CONFIG --store FOLDER` reads what it gave."""
    from .caching import cache_features

    overrides = parse_overrides(values)
    typer.echo(cache_features(config, out, views, subset, device, precision, seed, yes, overrides, source))


@app.command()
def calibrate(
    config: Config,
    checkpoint: Annotated[Path, typer.Option(help="the checkpoint whose tables are recounted")],
    out: Annotated[Path, typer.Option(help="where the checkpoint with the new tables goes")],
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    seed: Annotated[int, typer.Option(help="of all random generators")] = 0,
    values: Set = None,
) -> None:
    """Recount the coding tables exactly over the training images."""
    from .calibrating import calibrate_checkpoint

    typer.echo(calibrate_checkpoint(config, checkpoint, out, device, seed, parse_overrides(values)))


@app.command()
def show(
    config: Config,
    image: Annotated[Path, typer.Argument(help="an image file")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="by default the one beside the config, else the config's `dst_ckpt`")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="of a bank; by default the active one")] = None,
    out: Annotated[Path | None, typer.Option(help="the .png to write; by default IMAGE_shown.png here")] = None,
    protocol: Annotated[str | None, typer.Option(help="protocol name or file; by default the config's")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    seed: Annotated[int, typer.Option(help="of networks with random weights, as in the run")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a picture that is there")] = False,
    values: Set = None,
) -> None:
    """Draw one image with the network's output before and after real bytes."""
    from .running import RunOptions
    from .showing import show_image

    options = RunOptions(
        checkpoint=checkpoint, protocol=protocol, device=device, seed=seed, overrides=parse_overrides(values)
    )
    typer.echo(show_image(config, image, out or Path(f"{image.stem}_shown.png"), options, unit, overwrite))


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="a clone or copy of the released repository, or one checkpoint of it")],
    out: Annotated[Path, typer.Option(help="folder for <task>/<split>/<index>")] = Path("published"),
    unit: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="only classification/S1/0, or all of classification/S1")
    ] = None,
    network: Annotated[
        list[Path] | None, typer.Option(help="weights of the original network of a task; torchvision's by default")
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="images to count the coding tables on, per channel")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="print what each unit is, write nothing")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what was imported before")] = False,
    table: Annotated[Path | None, typer.Option(help="frequency table of one checkpoint")] = None,
    task: Annotated[str | None, typer.Option(help="classification or segmentation, of one checkpoint")] = None,
    split: Annotated[str | None, typer.Option(help="S1, S2, S3, US1 or US2, of one checkpoint")] = None,
    step: Annotated[float | None, typer.Option(help="quantiser step Q of one checkpoint")] = None,
    stride: Annotated[int | None, typer.Option(help="stride S of one checkpoint")] = None,
    latent_channels: Annotated[int | None, typer.Option(help="latent channels C_r of one checkpoint")] = None,
) -> None:
    """Turn the authors' released units into checkpoints and configs that need no training."""
    from rich.console import Console

    from .importing import ImportOptions, check_table, import_units, summary_table, units_to_import

    single = {"table": table, "task": task, "split": split, "step": step, "stride": stride}
    units = units_to_import(ImportOptions(path, unit or [], {**single, "latent_channels": latent_channels}))
    printed = Console(width=None if sys.stdout.isatty() else 180)
    if check:
        printed.print(check_table(units))
        return
    converted = import_units(units, out, network or [], calibrate, overwrite)
    printed.print(summary_table(converted, units.skipped, out))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for networks, results, table and plot")],
    task: Annotated[str, typer.Option(help="classification or segmentation")] = "classification",
    quick: Annotated[bool, typer.Option("--quick", help="fewer points and images, under a minute")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="an image folder instead: train/ and val/ with classes, or images and masks as in CamVid"),
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="weights for --data: of a ResNet-50, or of DeepLabv3 around one")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="epochs per unit, instead of the demo's")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
) -> None:
    """Compare SPIC with Entropic Student and image codecs: one table, one plot, real bytes."""
    from .demo import DemoOptions, run_demo

    run_demo(DemoOptions(out, quick, data, network, epochs, device, task))


@app.command()
def doctor() -> None:
    """Say what this installation can do: hosts, devices, codecs, data; exit code 1 if a host is missing."""
    from rich.console import Console

    from .doctor import doctor_table, examine

    findings = list(examine())
    Console().print(doctor_table(findings))
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


@app.command()
def ship(
    out: Annotated[Path, typer.Argument(help="the folder of `sc2-spic bench`")],
    to: Annotated[Path, typer.Option(help="folder for CURVE.json, CURVE.csv.gz and units/CURVE/")],
    units_of: Annotated[
        list[str] | None, typer.Option(metavar="CURVE", help="export the SPIC units of this curve too; repeatable")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="only units of this seed; by default of all")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there and differs")] = False,
    add: Annotated[
        bool, typer.Option("--add", help="keep points of the same curves that are there and were not measured now")
    ] = False,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the units' configs, dotted path"),
    ] = None,
) -> None:
    """Copy a suite's results for others to verify: per-image tables packed, chosen units as they were measured."""
    from .shipping import ship_results

    shipped = ship_results(out, to, units_of or [], seed, overwrite, parse_overrides(values), add)
    for what, sizes in (("results with their per-image tables", shipped.results), ("units", shipped.units)):
        typer.echo(f"{to}: {len(sizes) // 2} {what}, {sum(sizes.values()) / 1e6:.2f} MB")


for command in (bench, export, encode, decode, leaderboard, plot, report, published, convert, search):
    app.command()(command)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """SPIC in the compression benchmark harness: train, measure in real bytes, compare."""
    if _processes() > 1 and context.invoked_subcommand != "run":
        raise ConfigError(f"`{context.invoked_subcommand}` runs in one process; torchrun starts `sc2-spic run` alone.")


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE") or 1)


def main() -> None:
    """Runs the command line; our own errors become one message and exit code 1."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch asks Linux for huge pages: steps are faster
    try:
        app(standalone_mode=True)
    except (SpicError, OSError) as error:
        who = f" (process {os.environ.get('RANK', '?')})" if _processes() > 1 else ""
        console.print(f"[bold red]error{who}:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
