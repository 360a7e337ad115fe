"""The console command `sc2-spic`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from ..errors import ConfigError, SpicError
from ..version import __version__
from .bench import bench
from .comparing import leaderboard, plot, report
from .converting import convert
from .halves import decode, encode, export
from .overrides import parse_overrides
from .progress import console
from .publishing import published
from .searching import search

__all__ = ["app", "main"]

app = typer.Typer(
    help="SPIC in the compression benchmark harness: train, measure in real bytes, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
configs_app = typer.Typer(help="The configs that come with the package.", no_args_is_help=True)
app.add_typer(configs_app, name="configs")

Config = Annotated[str, typer.Argument(help="a config file, or the name of a shipped one (`sc2-spic configs list`)")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the config, dotted path")
]


@app.command()
def run(
    config: Config,
    out: Annotated[Path, typer.Option(help="folder for config, checkpoint, result.json and per-image table")],
    test_only: Annotated[bool, typer.Option("--test-only", help="measure a checkpoint, train nothing")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="the checkpoint for --test-only")] = None,
    protocol: Annotated[str | None, typer.Option(help="protocol name or file; by default the config's")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 for training under autocast")] = "fp32",
    seed: Annotated[int, typer.Option(help="of all random generators")] = 0,
    calibrate: Annotated[bool, typer.Option(help="recount the coding tables exactly after training")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace results that are in the folder")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the training that stopped in the folder")
    ] = False,
    costs: Annotated[bool, typer.Option(help="measure encoder size, operations and latency too")] = True,
    store: Annotated[Path | None, typer.Option(help="train from this feature store (`sc2-spic cache`)")] = None,
    compiles: Annotated[
        bool, typer.Option("--compile", help="torch.compile the units; pays in long trainings from a store")
    ] = False,
    train_only: Annotated[
        bool, typer.Option("--train-only", help="measure nothing; with --store, no image is needed")
    ] = False,
    values: Set = None,
) -> None:
    """Train and measure what a config describes."""
    from ..leaderboard import render_console
    from ..ops.ranks import is_first, joined
    from .running import RunOptions, is_finished, run_config, train_config

    target = out / "result.json"
    if train_only and test_only:
        raise ConfigError("--train-only measures nothing and --test-only trains nothing; pass one of the two.")
    overrides = _with_store(config, parse_overrides(values), store, train_only)
    options = RunOptions(
        test_only, checkpoint, protocol, device, precision, seed, calibrate, overrides, resume, costs, compiles
    )
    with joined(device):  # of several processes, started by torchrun
        if not overwrite and is_finished(config, out, target, options):
            if is_first():
                console.print("this run is finished; --overwrite measures it again", soft_wrap=True)
                typer.echo(str(target))
            return
        if train_only:
            trained = train_config(config, out, options)
            if is_first():
                typer.echo(str(trained))
            return
        result = run_config(config, out, options).save(target)
        if is_first():
            for table in render_console([result], width=console.width):
                console.print(table)
            typer.echo(str(target))


def _with_store(config: str, overrides: dict[str, Any], store: Path | None, train_only: bool) -> dict[str, Any]:
    """Returns the values to replace, with those that make a config train from a store."""
    if store is None:
        return overrides
    from ..configs import render_config, resolve_config
    from ..configs.stored import reportless_values, store_values

    text = render_config(resolve_config(config).read_text(), overrides)
    spared = reportless_values(text, store) if train_only else {}
    return {**overrides, **store_values(text, store), **spared}


@app.command()
def cache(
    config: Config,
    out: Annotated[Path, typer.Option(help="folder of the store; a store that was not finished is gone on with")],
    views: Annotated[int, typer.Option(help="how often each training image is drawn")] = 2,
    subset: Annotated[int | None, typer.Option(help="so many training images instead of all")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 under autocast")] = "fp32",
    seed: Annotated[int, typer.Option(help="of the views")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="write more than 10 GB without asking")] = False,
    values: Set = None,
) -> None:
    """Compute the front-end once for many trainings: `sc2-spic run CONFIG --store FOLDER` reads what it gave."""
    from .caching import cache_features

    typer.echo(cache_features(config, out, views, subset, device, precision, seed, yes, parse_overrides(values)))


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
    typer.echo(show_image(config, image, out or Path(f"{image.stem}_shown.png"), options, overwrite))


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
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the units' configs, dotted path"),
    ] = None,
) -> None:
    """Copy a suite's results for others to verify: per-image tables packed, chosen units as they were measured."""
    from .shipping import ship_results

    shipped = ship_results(out, to, units_of or [], seed, overwrite, parse_overrides(values))
    for what, sizes in (("results with their per-image tables", shipped.results), ("units", shipped.units)):
        typer.echo(f"{to}: {len(sizes) // 2} {what}, {sum(sizes.values()) / 1e6:.2f} MB")


for command in (bench, export, encode, decode, leaderboard, plot, report, published, convert, search):
    app.command()(command)


@configs_app.command("list")
def configs_list() -> None:
    """Print the names of the shipped configs."""
    from ..configs import list_configs

    typer.echo("\n".join(list_configs()))


@configs_app.command("copy")
def configs_copy(name: str, target: Path) -> None:
    """Copy a shipped config to a file of your own."""
    from ..configs import resolve_config
    from ..ops import write_atomic

    source = resolve_config(name)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise ConfigError(f"{target} exists; choose another name.")
    write_atomic(target, source.read_bytes())
    typer.echo(str(target))


@configs_app.command("check")
def configs_check(names: list[str]) -> None:
    """Say what is wrong with configs, sweeps or suites before anything is built; exit code 1 if something is."""
    from ..configs import check_file, resolve_config
    from ..configs.plain import load_plain
    from ..search import load_space

    wrong = 0
    for name in names:
        path = resolve_config(name)
        if "space" in load_plain(path.read_text()):
            load_space(path)
            typer.echo(f"{path}: ok")
            continue
        for point, problems in check_file(path).items():
            wrong += len(problems)
            label = f"{path} {point}".strip()
            typer.echo(f"{label}: " + ("ok" if not problems else ""))
            for problem in problems:
                typer.echo(f"  - {problem}")
    if wrong:
        raise typer.Exit(1)


@configs_app.command("render")
def configs_render(sweep: str, out: Path) -> None:
    """Write every point of a sweep as a config of its own."""
    from ..configs import load_sweep, resolve_config
    from ..ops import write_atomic

    for point in load_sweep(resolve_config(sweep)):
        path = out / f"{point.name}.yaml"
        if path.exists() and path.read_text() != point.text:
            raise ConfigError(f"{path} exists with other content; choose another folder.")
        typer.echo(str(write_atomic(path, point.text)))


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
    try:
        app(standalone_mode=True)
    except (SpicError, OSError) as error:
        who = f" (process {os.environ.get('RANK', '?')})" if _processes() > 1 else ""
        console.print(f"[bold red]error{who}:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
