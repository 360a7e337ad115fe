"""The command `sc2-spic search`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["search"]


def search(
    space: Annotated[str, typer.Argument(help="a search space, or the name of a shipped one, search/imagenette")],
    out: Annotated[Path, typer.Option(help="folder for stores, study, weights and results")],
    trials: Annotated[int | None, typer.Option(min=1, help="candidates in all, instead of the space's")] = None,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="candidates of one bank, instead of the space's")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="how many work at once on this machine, or on Ray")] = 1,
    executor: Annotated[
        str, typer.Option(help="local, or ray: the cluster of RAY_ADDRESS, else one on this machine")
    ] = "local",
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="database of the study, for workers on several machines")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a search, or join one that runs")] = False,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="fp32, bf16 (autocast), or auto: bf16 where the device computes in it")
    ] = "fp32",
    seed: Annotated[int, typer.Option(help="of all random generators; every candidate has the same")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="write stores of more than 10 GB without asking")] = False,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="replace a value of the base config")
    ] = None,
) -> None:
    """Search for the units with the best accuracy at every rate; only training and selection images are read."""
    from ..search import SearchJob, load_space, run_search
    from ..search.executor import stop_on_sigterm
    from .overrides import parse_overrides
    from .preparing import checked_precision
    from .progress import console, reporter

    precision = checked_precision(precision, device)
    loaded = load_space(space, parse_overrides(values))
    counts = {key: value for key, value in (("trials", trials), ("candidates", candidates)) if value is not None}
    job = SearchJob(dataclasses.replace(loaded, **counts), out, storage, device, precision, seed, workers)  # type: ignore[arg-type]
    stop_on_sigterm()
    with reporter(loaded.name) as progress:

        def say(line: str) -> None:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

        try:
            result = run_search(job, resume, yes, executor, say, progress.step)
        except KeyboardInterrupt:
            say("stopped; what was told is kept, the same command with --resume goes on")
            raise typer.Exit(130) from None
    typer.echo(f"{result.summary}\n{result.table}")
    for bank in result.banks:
        typer.echo(str(bank))
