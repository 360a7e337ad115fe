"""What a job's process does: what `sc2-spic` does, rows and costs too; `python -m sc2_spic_plugin.cli.bench.child`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ..main import app, main

__all__ = ["work"]


@app.command(hidden=True)
def row(folder: Path) -> None:
    """Measure a row of a suite that trains nothing."""
    from .row import measure_row

    measure_row(folder)


@app.command(hidden=True)
def costs(folder: Path) -> None:
    """Measure what the points of a job cost beside their bits."""
    from .job_costs import measure_job_costs

    measure_job_costs(folder)


def work(arguments: Sequence[str]) -> None:
    """Does a job, given the arguments of its command line."""
    sys.argv = ["sc2-spic", *arguments]
    main()


if __name__ == "__main__":
    main()
