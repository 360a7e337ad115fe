"""A job's process: `python -m sc2_spic_plugin.cli.bench.child` does what `sc2-spic` does; rows and costs too.

It ends with the process that started it: the suite holds the other end of its standard input, which closes when the
suite is killed.
"""

import os
import signal
import threading
from pathlib import Path

from ..main import app, main

__all__: list[str] = []


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


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)  # programs and loaders that it started too


if __name__ == "__main__":
    if os.getpgrp() == os.getpid():  # started by a suite, in a group of its own
        threading.Thread(target=_end_with_parent, daemon=True).start()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ctrl-C may be ignored, where a script started it
    main()
