"""`sc2-spic leaderboard`, `plot` and `report`: what result files say, side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, nearest

if TYPE_CHECKING:
    from ..leaderboard import Source

__all__ = ["leaderboard", "plot", "report"]

Results = Annotated[list[Path], typer.Argument(help="result files, or folders of them")]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(metavar="METHOD", help="compare with this method; may be repeated (by default the usual ones)"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace files that are there")]


def leaderboard(
    results: Results,
    out: Annotated[
        Path | None, typer.Option(help="folder for leaderboard.md, .csv and comparison.md, .json; printed otherwise")
    ] = None,
    against: AgainstOption = None,
    overwrite: Overwrite = False,
) -> None:
    """Make tables out of result files: every point, and every method against chosen ones."""
    from ..leaderboard import compare_all, comparison_document, render_comparison, render_csv, render_markdown

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
        out / "comparison.json": f"{document}\n",
    }
    _write(files, overwrite)


def plot(
    results: Results,
    out: Annotated[Path, typer.Option(help="a .png or .svg file")],
    protocol: Annotated[str | None, typer.Option(help="only results under this protocol")] = None,
    title: Annotated[str | None, typer.Option(help="instead of network, data set and protocol")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw accuracy over rate; results that must not share a plot get one each, numbered."""
    from ..leaderboard import check_plot_path, group_results, plot_rate_accuracy

    check_plot_path(out)
    loaded = [source.result for source in _collect(results)]
    if protocol is not None:
        known = {result.meta.protocol for result in loaded}
        if protocol not in known:
            raise ConfigError(f"no result is under the protocol `{protocol}`. {nearest(protocol, known)}")
        loaded = [result for result in loaded if result.meta.protocol == protocol]
    groups = [members for members in group_results(loaded).values() if any(member.points for member in members)]
    paths = [out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}") for number in _count(groups)]
    _check_free(paths, overwrite)
    for path, members in zip(paths, groups, strict=True):
        typer.echo(str(plot_rate_accuracy(members, path, title)))


def report(
    results: Results,
    out: Annotated[Path, typer.Option(help="an .html file")],
    against: AgainstOption = None,
    title: Annotated[str, typer.Option(help="heading of the page")] = "Rate and accuracy, measured in real bytes",
    overwrite: Overwrite = False,
) -> None:
    """Make one web page out of result files: plot, tables, provenance, histograms; works offline."""
    from ..leaderboard.report import render_report

    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"a report is written as .html, got `{out.name}`.")
    _write({out: render_report(_collect(results), against, title)}, overwrite)


def _collect(paths: Sequence[Path]) -> "list[Source]":
    """Reads result files and says which JSON files of the folders hold something else."""
    from ..leaderboard import collect_results

    collected = collect_results(paths)
    if collected.skipped:
        names = ", ".join(str(path) for path in collected.skipped)
        typer.echo(f"no result files, left out: {names}", err=True)
    return collected.sources


def _count(items: Sequence[object]) -> range:
    return range(1, len(items) + 1)


def _check_free(paths: Sequence[Path], overwrite: bool) -> None:
    """Checks that nothing is replaced unasked.

    Raises:
        ConfigError: a file is there.
    """
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        raise ConfigError(f"{', '.join(there)} exists; choose another --out, or pass --overwrite.")


def _write(files: Mapping[Path, str], overwrite: bool) -> None:
    """Writes text files and says which, none unless all may be written; one that holds the text already is kept."""
    from ..ops import write_atomic

    changed = [path for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode()]
    _check_free(changed, overwrite)
    for path, text in files.items():
        typer.echo(str(write_atomic(path, text) if path in changed else path))
