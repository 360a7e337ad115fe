"""`sc2-spic convert`: somebody else's numbers as a result file, marked as reported."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError

__all__ = ["convert"]


def convert(
    files: Annotated[
        list[Path],
        typer.Argument(help="run logs of sc2bench, or JSON of CompressAI or edge-cloud-rac; all of one method"),
    ],
    out: Annotated[Path, typer.Option(help="the result file, .json")],
    method: Annotated[str, typer.Option(help="key of the method, for its colour: entropic_student, jpeg, ...")],
    protocol: Annotated[str, typer.Option(help="name or file of the protocol that the numbers were made under")],
    beside: Annotated[
        Path | None,
        typer.Option(metavar="RESULT", help="a measured result of the same data set and network: share its tables"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="name of the data set, without --beside")] = None,
    network: Annotated[str | None, typer.Option(help="name of the original network, without --beside")] = None,
    supervision: Annotated[str | None, typer.Option(help="supervised or unsupervised, if trained")] = None,
    cut: Annotated[str | None, typer.Option(help="module after which the network is cut")] = None,
    bypassed: Annotated[bool, typer.Option("--bypassed", help="data pass the cut uncounted")] = False,
    fractions: Annotated[
        bool | None, typer.Option("--fractions/--percent", help="accuracies are 0 to 1, or 0 to 100")
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the result, for legends")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a file that is there")] = False,
) -> None:
    """Read somebody else's numbers into a result file that says so: bits as reported, on no front, in no ratio."""
    from ..leaderboard import ResultFile, load_protocol
    from ..leaderboard.readers import Standing, as_result, check_samples, read_reported

    if out.suffix.lower() != ".json":
        raise ConfigError(f"a result file is written as .json, got `{out.name}`.")
    if supervision not in (None, "supervised", "unsupervised"):
        raise ConfigError(f"--supervision is `supervised` or `unsupervised`, got `{supervision}`.")
    neighbour = None if beside is None else ResultFile.load(beside)
    given = {"--dataset": dataset, "--network": network}
    if neighbour is None:
        missing = [option for option, value in given.items() if value is None]
        if missing:
            raise ConfigError(f"{' and '.join(missing)} missing: the files do not say it; or pass --beside RESULT.")
    elif any(value is not None for value in given.values()):
        raise ConfigError("--beside says data set and network; leave --dataset and --network out.")
    standing = Standing(
        method=method,
        dataset=dataset or neighbour.meta.dataset,  # type: ignore[union-attr]
        network=network or neighbour.meta.network,  # type: ignore[union-attr]
        protocol=load_protocol(protocol),
        network_sha256=None if neighbour is None else neighbour.meta.network_sha256,
        supervision=supervision,
        cut=cut,
        bypassed=bypassed,
    )
    if neighbour is not None:
        standing.check_beside(neighbour)
    result = as_result([read_reported(path, fractions) for path in files], standing, name)
    if neighbour is not None:
        check_samples(result, neighbour)
    typer.echo(str(result.save(out, overwrite)))
    if neighbour is None:
        typer.echo("no network digest, so these rows get a table of their own; --beside RESULT joins them to one's.")
