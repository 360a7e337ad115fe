"""A job: what one process trains and measures, the files of its folder, and the command that does it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ...ops import write_atomic

__all__ = [
    "CONFIG",
    "COSTS",
    "FACTS",
    "ORIGINAL",
    "RESULT",
    "RUN_CONFIG",
    "Job",
    "Settings",
    "replaced_place",
]

CONFIG, RUN_CONFIG = "job.yaml", "config.yaml"
"""The config as the suite has it, and as it was run, which names the feature store too."""
FACTS, RESULT = "job.json", "result.json"
ORIGINAL = "original"
_REPLACED = "replaced"
"""Folder of what no longer holds."""
COSTS = "costs"
"""The mode in which the points of a job that has its result are timed."""


def replaced_place(out: Path, name: str) -> Path:
    """Returns a folder that is not there yet, for what is put aside under a name."""
    return next(path for number in count(1) if not (path := out / _REPLACED / f"{name}-{number}").exists())


@dataclass(frozen=True)
class Settings:
    """What all jobs of a suite share.

    Attributes:
        out: the suite's folder.
        weights: file of the original network's weights.
        trains_network: whether a job of the suite makes that file.
        protocol: name or path of the protocol; None: each config's own.
        precision: `fp32`, `bf16` or `auto`, of training.
        device: torch device string.
    """

    out: Path
    weights: Path
    trains_network: bool
    protocol: str | None = None
    precision: str = "fp32"
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """One config that is trained and measured, one row measured with the original network, or one feature store.

    Attributes:
        name: unique in the suite, and the folder below `points`: `CURVE/POINT`, `CURVE/POINT-seed1`.
        curve: name of the result file that it adds to.
        method: whose points it makes; `original`, or `store`.
        description: of the curve.
        text: the rendered config; of a row that of the network.
        settings: of the suite.
        seed: of all random generators.
        row: what is measured with the original network instead: `method`, and `quality`, `options`, `scale` of an
            image codec.
        store: folder of the feature store that it trains from.
        builds: the feature store that it builds, and nothing else: arguments of `sc2-spic cache` beside the config.
        checkpoint: of another job, which is measured; nothing is trained.
        trains: whether the config says how it is trained.
        needs: names of the jobs that come before.
        skipped: why it cannot be done here.
    """

    name: str
    curve: str
    method: str
    description: str
    text: str
    settings: Settings
    seed: int = 0
    row: Mapping[str, Any] | None = None
    store: Path | None = None
    builds: tuple[str, ...] | None = None
    checkpoint: Path | None = None
    trains: bool = True
    needs: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def folder(self) -> Path:
        """Holds its config, checkpoint and result."""
        return self.settings.out / "points" / self.name

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.settings.out / "log" / f"{self.name}.log"

    @property
    def given_checkpoint(self) -> Path | None:
        """The checkpoint that is measured and was made elsewhere: by another job, or a network's given weights."""
        if self.checkpoint is not None:
            return self.checkpoint
        return self.settings.weights if self.name == ORIGINAL and not self.settings.trains_network else None

    def facts(self) -> dict[str, Any]:
        """Returns what decides the result beside the config, as plain data; `places` may change and decide nothing."""
        settings = self.settings
        return {
            "row": None if self.row is None else dict(self.row),
            "store": None if self.store is None else self.store.name,
            "seed": self.seed,
            "precision": settings.precision if self.trains else None,
            "places": {
                "weights": str(settings.weights),
                "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
                "original": str(settings.out / "points" / ORIGINAL),
                "protocol": settings.protocol,
                "device": settings.device,
            },
        }

    def kept_facts(self) -> dict[str, Any] | None:
        """Returns the facts of the run that its folder holds; None if there are none, or none that can be read."""
        try:
            facts = json.loads((self.folder / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) and isinstance(facts.get("places"), dict) else None

    def prepare(self) -> None:
        """Writes config and facts into its folder.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        write_atomic(self.folder / CONFIG, self.text)
        write_atomic(self.folder / FACTS, json.dumps(self.facts(), indent=1) + "\n")

    def arguments(self, mode: str) -> list[str]:
        """Returns the arguments of its process.

        Args:
            mode: `train`, `resume` or `measure`, of which a row and a store have one only; or `costs`. In the others
                nothing is timed: other jobs may run meanwhile.
        """
        if mode == COSTS:
            return ["costs", str(self.folder)]
        if self.row is not None:
            return ["row", str(self.folder)]
        settings = self.settings
        if self.builds is not None:
            places = ["--out", str(self.store), "--precision", settings.precision, "--device", settings.device]
            return ["cache", str(self.folder / CONFIG), *places, *self.builds]
        arguments = ["run", str(self.folder / CONFIG), "--out", str(self.folder), "--seed", str(self.seed)]
        arguments += ["--precision", settings.precision, "--device", settings.device, "--no-costs"]
        if settings.protocol is not None:
            arguments += ["--protocol", settings.protocol]
        if mode != "measure" and self.trains and self.given_checkpoint is None:
            stored = [] if self.store is None else ["--store", str(self.store)]
            return [*arguments, *stored, *(["--resume"] if mode == "resume" else [])]
        checkpoint = self.given_checkpoint
        return [*arguments, "--test-only", *(() if checkpoint is None else ("--checkpoint", str(checkpoint)))]
