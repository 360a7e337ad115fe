"""The command `sc2-spic bench`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

__all__ = ["bench"]


def bench(
    suite: Annotated[str, typer.Argument(help="a suite file, or the name of a shipped one, suites/imagenette")],
    out: Annotated[
        Path, typer.Option(help="folder for points, results, logs and status.json; go on with the same one")
    ],
    jobs: Annotated[int, typer.Option(help="how many run at a time; CPU threads are divided among them")] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="METHOD", help="only this method, curve or point (CURVE/POINT); several times"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the plan with measured durations, do nothing")
    ] = False,
    redo_stale: Annotated[
        bool, typer.Option("--redo-stale", help="do points again that were made by other code or with another config")
    ] = False,
    costs: Annotated[
        bool, typer.Option(help="measure encoder size, operations and latency of each point, alone, after all jobs")
    ] = True,
    redo_costs: Annotated[
        bool,
        typer.Option("--redo-costs", help="measure them again where they are known; stopped, go on without this"),
    ] = False,
    network: Annotated[
        Path | None, typer.Option(help="weights of the original network, instead of the suite's")
    ] = None,
    device: Annotated[str, typer.Option(help="torch device")] = "cpu",
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="replace a value that all configs share, e.g. root=FOLDER"),
    ] = None,
) -> None:
    """Train and measure every method of a suite that is not done yet; exit code 1 if a point failed."""
    from ...configs import resolve_config
    from ...configs.suite import load_suite
    from ...errors import ConfigError
    from ..overrides import parse_overrides
    from ..progress import console
    from .cost_phase import CostPhase, planned_costs
    from .estimate import Estimates, shares_text, time_spent
    from .lines import Lines
    from .plan import choose, plan_jobs
    from .processes import Processes
    from .schedule import judge_all
    from .show import plan_shares, plan_table, plan_total, print_summary
    from .status import Status
    from .suite_run import run_suite, working_in
    from .verdict import MEASURE

    if redo_costs and not costs:
        raise ConfigError("--redo-costs measures what --no-costs leaves out; pass one of the two.")
    planned = load_suite(resolve_config(suite)).with_values(parse_overrides(values))
    runner = Processes(jobs)
    all_jobs = plan_jobs(planned, out, network, device)
    chosen = choose(all_jobs, only or [])
    folder = all_jobs[0].settings.out
    status = Status.load(folder, planned.name)
    verdicts = judge_all(chosen, status, redo_stale)
    measured = [name for name, verdict in verdicts.items() if verdict.action == MEASURE]
    estimates = Estimates(planned, all_jobs, status, measured)
    to_time = planned_costs(chosen, verdicts, redo_costs) if costs else {}
    total = plan_total(chosen, verdicts, estimates, jobs, to_time)
    if dry_run:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 180).print(plan_table(chosen, verdicts, estimates, to_time))
        typer.echo(total)
        shares = plan_shares(chosen, verdicts, estimates)
        if shares:
            typer.echo(f"one after the other {shares}")
        return
    console.print(total, markup=False, highlight=False, soft_wrap=True)
    try:
        with _stopping_politely(), working_in(folder), Lines(console, chosen, verdicts, estimates, jobs) as lines:
            phase = CostPhase(runner, status, lines, redo_costs) if costs else None
            finished = run_suite(all_jobs, chosen, runner, status, lines, jobs, redo_stale, phase)
    except KeyboardInterrupt:
        without = " without --redo-costs" if redo_costs else ""
        console.print(f"stopped; what is done is kept, the same command{without} goes on", soft_wrap=True)
        raise typer.Exit(130) from None
    print_summary(console, finished, folder, shares_text(time_spent(chosen, status)))
    typer.echo(str(folder / "results"))
    untimed = finished.costs is not None and finished.costs.failed
    if finished.summary.failed or finished.summary.not_run or finished.problems or untimed:
        raise typer.Exit(1)


@contextmanager
def _stopping_politely() -> Iterator[None]:
    """Makes a scheduler's or `kill`'s polite signal do what Ctrl-C does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
