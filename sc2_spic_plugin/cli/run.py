"""`sc2-spic run`: a config trained and measured, by one process or by those of torchrun."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from .options import Config, Set
from .overrides import parse_overrides
from .progress import console

__all__ = ["run"]


def run(
    config: Config,
    out: Annotated[Path, typer.Option(help="folder for config, checkpoint, result.json and per-image table")],
    test_only: Annotated[bool, typer.Option("--test-only", help="measure a checkpoint, train nothing")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="the checkpoint for --test-only")] = None,
    protocol: Annotated[str | None, typer.Option(help="protocol name or file; by default the config's")] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16 (autocast), or auto: bf16 where the device computes in it")
    ] = "fp32",
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
    from .running import RESULT, RunOptions, is_finished, run_config, train_config

    target = out / RESULT
    if train_only and test_only:
        raise ConfigError("--train-only measures nothing and --test-only trains nothing; pass one of the two.")
    overrides = _with_store(config, parse_overrides(values), store, train_only)
    options = RunOptions(
        test_only, checkpoint, protocol, device, precision, seed, calibrate, overrides, resume, costs, compiles
    )
    with joined(device):  # of several processes, started by torchrun
        if not overwrite and is_finished(config, out, target, options):
            if is_first():
                again = "--overwrite does it again, --test-only --overwrite measures it again"
                console.print(f"this run is finished; {again}", soft_wrap=True)
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
