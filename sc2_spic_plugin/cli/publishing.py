"""`sc2-spic published`: what others drew, beside what their released units cost and what was measured of them."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["published"]


def published(
    results: Annotated[
        list[Path] | None, typer.Argument(help="result files of imported units, or folders of them: measured columns")
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="a clone of the released repository: its units are read again"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="for README.md, and units.yaml with --release; else printed")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that are there")] = False,
) -> None:
    """Put published curves and released units beside expected rates and measured points."""
    from ..leaderboard import collect_results
    from ..leaderboard.published import (
        UNITS_FILE,
        facts_of,
        load_facts,
        load_figure,
        published_names,
        render_facts,
        render_published,
    )
    from .writing import write_texts

    sources = collect_results(results).sources if results else []
    files = {}
    if release is None:
        facts = load_facts()
    else:
        from ..importers import find_published_units

        facts = facts_of(find_published_units(release))
        files[UNITS_FILE] = render_facts(facts)
    page = render_published([load_figure(name) for name in published_names()], facts, sources)
    if out is None:
        typer.echo(page, nl=False)
        return
    write_texts({out / name: text for name, text in {"README.md": page, **files}.items()}, overwrite)
