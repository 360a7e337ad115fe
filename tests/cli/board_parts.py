"""A small suite that is run, trained banks and all, and its results as they are committed."""

import shutil
from pathlib import Path
from typing import Any

import torch
import typer
from bench_parts import FakeRunner, Told, make_suite
from typer.testing import CliRunner, Result

from sc2_spic_plugin.cli.bench import suite_run
from sc2_spic_plugin.cli.bench.job import CONFIG, RESULT, Job
from sc2_spic_plugin.cli.bench.plan import plan_jobs
from sc2_spic_plugin.cli.bench.row import measure_row
from sc2_spic_plugin.cli.bench.status import Status
from sc2_spic_plugin.cli.comparing import leaderboard
from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.cli.shipping import ship_results
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.errors import CheckpointError, ConfigError, DataError, TrainingError
from sc2_spic_plugin.training.build import build_config, seed_everything

__all__ = ["CURVES", "IMAGES", "Board", "Trainer", "write_weights"]

PATHS = {
    "samples": "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class",
    "report": "datasets.synthetic/val.init.kwargs.samples_per_class",
    "epochs": "train.stage1.num_epochs",
    "unit": "models.model.kwargs.unit",
    "units": "models.model.kwargs.units",
    "weight": "train.stage1.criterion.kwargs.sub_terms.rate.weight",
}
SMALL = {"latent_channels": 4, "stride": 2, "step": 0.1}
SUITE: dict[str, Any] = {
    "paths": PATHS,
    "shared": {"samples": 6, "report": 2},
    "methods": [
        {
            "method": "spic_static_table",
            "supervision": "supervised",
            "curve": "bank",
            "config": "smoke/spic_supervised.yaml",
            "seeds": [0, 1],
            "values": {
                "epochs": 1,
                "unit": None,
                "weight": 1e-3,
                "units": {"low": {**SMALL, "step": 0.3}, "high": SMALL},
            },
        },
        {
            "method": "spic_l1",
            "curve": "alone",
            "config": "smoke/spic_supervised.yaml",
            "values": {"epochs": 1, "weight": 1e-3},
            "points": {"w0.001": {"unit": SMALL}},
        },
    ],
}
IMAGES = 16
CURVES = ("bank", "alone")


class Trainer(FakeRunner):
    """Does in this process what a job's process does, times nothing, and keeps what was run."""

    def start(self, job: Job, mode: str) -> Any:
        self.acts[job.name] = _run
        return super().start(job, mode)


def _run(job: Job) -> None:
    if job.row is not None:
        measure_row(job.folder)
        return
    checkpoint = job.given_checkpoint
    options = RunOptions(test_only=checkpoint is not None, checkpoint=checkpoint, seed=job.seed, costs=False)
    run_config(job.folder / CONFIG, job.folder, options).save(job.folder / RESULT)


class Board:
    """A suite that was run, and its results as they are committed.

    Attributes:
        out: the folder of the run.
        committed: the folder of the shipped results.
        arguments: of `leaderboard` beside the point.
    """

    def __init__(self, folder: Path) -> None:
        self.weights = folder / "weights.pt"
        suite = make_suite(folder, **SUITE)
        self.suite, self.out, self.committed = folder / "suite.yaml", folder / "out", folder / "committed"
        write_weights(folder, 0)
        self.jobs = plan_jobs(suite, self.out, self.weights)
        finished = suite_run.run_suite(self.jobs, self.jobs, Trainer(), Status(self.out, "small"), Told())
        assert not finished.summary.failed and not finished.problems
        ship_results(self.out, self.committed, CURVES)
        self.arguments = [str(self.committed), "--suite", str(self.suite), "--network", str(self.weights)]

    def verify(self, point: str, *arguments: object, results: Path | None = None) -> Result:
        app = typer.Typer()
        app.command()(leaderboard)
        given = [str(results or self.committed), *self.arguments[1:], *map(str, arguments), "--verify", point]
        return CliRunner().invoke(app, given)

    def refusal(self, point: str, *arguments: object, results: Path | None = None) -> str:
        """Returns the message with which a point is not verified."""
        done = self.verify(point, *arguments, results=results)
        assert isinstance(done.exception, ConfigError | DataError | CheckpointError | TrainingError), done.output
        return str(done.exception)

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.committed, folder))


def write_weights(folder: Path, seed: int) -> Path:
    config = folder / "network.yaml"
    values = {PATHS[name]: value for name, value in SUITE["shared"].items()}
    config.write_text(render_config(resolve_config("smoke/network.yaml").read_text(), values))
    seed_everything(seed)
    path = folder / "weights.pt"
    torch.save(build_config(config, torch.device("cpu")).model.state_dict(), path)
    return path
