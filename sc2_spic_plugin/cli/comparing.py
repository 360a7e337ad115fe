"""`sc2-spic leaderboard`, `plot` and `report`: what result files say, side by side."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, nearest

if TYPE_CHECKING:
    from ..leaderboard import Group, PublishedCurve, Source

__all__ = ["leaderboard", "plot", "report"]

COMPARISON = "comparison.json"
"""What `sc2-spic leaderboard --out` leaves beside result files, and is none."""

Results = Annotated[list[Path], typer.Argument(help="result files, or folders of them")]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(metavar="METHOD", help="compare with this method; may be repeated (by default the usual ones)"),
]
PublishedOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="draw these curves as published, a shipped name or a YAML file; may be repeated"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace files that are there")]


def leaderboard(
    results: Annotated[
        list[Path] | None, typer.Argument(help="result files, or folders of them; with --submit, those that are there")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for leaderboard.md, .csv and comparison.md, .json; printed otherwise")
    ] = None,
    against: AgainstOption = None,
    submit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="judge a result file from outside instead: all that it lacks for an entry"),
    ] = None,
    overwrite: Overwrite = False,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="CURVE/UNIT[@SEED]",
            help="measure this point again instead, from its shipped unit or --checkpoint, or train it again in --out; "
            "exit code 1 if it does not hold",
        ),
    ] = None,
    suite: Annotated[str | None, typer.Option(help="of --verify: the suite that made the point")] = None,
    network: Annotated[
        Path | None, typer.Option(help="of --verify: weights of the original network, instead of the suite's")
    ] = None,
    units: Annotated[
        Path | None, typer.Option(help="of --verify: folder of shipped units; by default `units` beside the result")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="of --verify: the whole checkpoint that was measured, instead of a unit")
    ] = None,
    device: Annotated[str | None, typer.Option(help="of --verify: torch device, `cpu` by default")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="of --verify: a value of the suite, e.g. root=FOLDER"),
    ] = None,
) -> None:
    """Make tables out of result files: every point, and every method against chosen ones."""
    if verify is not None:
        if submit is not None or against or overwrite:
            raise ConfigError("--verify checks one point; leave --submit, --against and --overwrite out.")
        _verify(results or [], verify, suite, network, units, checkpoint, device, values, out)
        return
    if any(value is not None for value in (suite, network, units, checkpoint, device, values)):
        raise ConfigError("--suite, --network, --units, --checkpoint, --device and --set belong to --verify POINT.")
    if submit is not None:
        if out is not None or against:
            raise ConfigError("--submit judges a file and writes nothing; leave --out and --against out.")
        _judge(submit, results or [])
        return
    if not results:
        raise ConfigError("name result files, or folders of them.")
    from ..leaderboard import compare_all, comparison_document, render_comparison, render_csv, render_markdown
    from .writing import write_texts

    sources = _collect(results)
    comparisons = compare_all(sources, against)
    table = render_markdown([source.result for source in sources])
    comparison = render_comparison(comparisons)
    if out is None:
        typer.echo(f"{table}\n{comparison}")
        return
    document = json.dumps(comparison_document(comparisons), indent=2, allow_nan=False)
    files = {
        out / "leaderboard.md": table,
        out / "leaderboard.csv": render_csv(sources),
        out / "comparison.md": comparison,
        out / COMPARISON: f"{document}\n",
    }
    write_texts(files, overwrite)


def plot(
    results: Results,
    out: Annotated[Path, typer.Option(help="a .png or .svg file")],
    protocol: Annotated[str | None, typer.Option(help="only results under this protocol")] = None,
    title: Annotated[str | None, typer.Option(help="instead of network, data set and protocol")] = None,
    published: PublishedOption = None,
    panels: Annotated[
        bool | None,
        typer.Option(
            "--panels/--no-panels",
            help="one panel for each split; without either: where more than ten curves are of several splits",
            show_default=False,
        ),
    ] = None,
    floor: Annotated[float | None, typer.Option(help="accuracy where the axis begins, %")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw accuracy over rate; results that must not share a plot get one each, numbered."""
    from ..leaderboard import check_plot_path, group_results, plot_rate_accuracy
    from .writing import check_free

    check_plot_path(out)
    loaded = [source.result for source in _collect(results)]
    if protocol is not None:
        known = {result.meta.protocol for result in loaded}
        if protocol not in known:
            raise ConfigError(f"no result is under the protocol `{protocol}`. {nearest(protocol, known)}")
        loaded = [result for result in loaded if result.meta.protocol == protocol]
    found = group_results(loaded).items()
    groups = {group: members for group, members in found if any(member.points for member in members)}
    curves = _published(published, groups)
    paths = [out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}") for number in _count(groups)]
    check_free(paths, overwrite)
    for path, (group, members) in zip(paths, groups.items(), strict=True):
        typer.echo(str(plot_rate_accuracy(members, path, title, curves.get(group, ()), panels, floor)))


def report(
    results: Results,
    out: Annotated[Path, typer.Option(help="an .html file")],
    against: AgainstOption = None,
    title: Annotated[str, typer.Option(help="heading of the page")] = "Rate and accuracy, measured in real bytes",
    published: PublishedOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Make one web page out of result files: plot, tables, provenance, histograms; works offline."""
    from ..leaderboard import group_of
    from ..leaderboard.report import render_report
    from .writing import write_texts

    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"a report is written as .html, got `{out.name}`.")
    sources = _collect(results)
    curves = _published(published, [group_of(source.result) for source in sources if source.result.points])
    write_texts({out: render_report(sources, against, title, curves)}, overwrite)


def _collect(paths: Sequence[Path]) -> "list[Source]":
    """Reads result files and says which JSON files of the folders hold something else."""
    from ..leaderboard import collect_results

    collected = collect_results(paths)
    units = {path for path in collected.skipped if path.with_suffix(".safetensors").is_file()}
    others = [path for path in collected.skipped if path not in units and path.name != COMPARISON]
    if others:
        names = ", ".join(str(path) for path in others)
        typer.echo(f"no result files, left out: {names}", err=True)
    return collected.sources


def _judge(path: Path, board: Sequence[Path]) -> None:
    """Says everything that a result file from outside lacks; exit code 1 if something required is."""
    from ..leaderboard.submission import check_submission

    submission = check_submission(path, _collect(board) if board else ())
    typer.echo(submission.render())
    if not submission.is_complete:
        raise typer.Exit(1)


def _verify(
    results: Sequence[Path],
    point: str,
    suite: str | None,
    network: Path | None,
    units: Path | None,
    checkpoint: Path | None,
    device: str | None,
    values: Sequence[str] | None,
    out: Path | None,
) -> None:
    """Says whether a committed point holds; exit code 1 if it does not."""
    if not results or suite is None:
        raise ConfigError("--verify needs the result files, or folders of them, and --suite, which made the point.")
    from .overrides import parse_overrides
    from .verifying import VerifyOptions, verify

    options = VerifyOptions(suite, network, parse_overrides(values), device or "cpu", units, checkpoint, out)
    try:
        verified = verify(_collect(results), point, options)
    except KeyboardInterrupt:
        typer.echo(f"stopped{'' if out is None else '; what is done is kept, the same command goes on'}", err=True)
        raise typer.Exit(130) from None
    check = verified.check
    typer.echo(f"{point} {'holds' if check.holds else 'DOES NOT HOLD'}, {verified.done}")
    typer.echo("\n".join(f"  {line}" for line in check.lines()))
    if not check.holds:
        raise typer.Exit(1)


def _published(names: Sequence[str] | None, groups: "Iterable[Group]") -> "Mapping[Group, Sequence[PublishedCurve]]":
    """Returns the published curves that were asked for, by the results that they may be drawn over."""
    from ..leaderboard.published import curves_by_group, load_figure

    return curves_by_group([load_figure(name) for name in dict.fromkeys(names or ())], groups)


def _count(items: Collection[object]) -> range:
    return range(1, len(items) + 1)
