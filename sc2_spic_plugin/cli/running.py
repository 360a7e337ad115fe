"""Running one config from training to measured point: what `sc2-spic run` and the demo share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.utils.data import RandomSampler

from ..coding import StaticCoder
from ..configs import render_config, resolve_config
from ..errors import ConfigError, nearest
from ..leaderboard import Meta, Point, Protocol, ResultFile, per_image_csv_path, write_per_image_csv
from ..leaderboard.evaluate import Evaluation, build_metric, evaluate, evaluate_units
from ..leaderboard.evaluation import Metric
from ..models import SplitModel
from ..ops import file_digest
from ..training import SpicModel
from ..training.build import BuiltConfig
from ..training.calibrate import calibrate
from ..training.checkpoint import load_model_checkpoint, replace_model
from ..training.loop import CHECKPOINT, PRECISIONS, train
from ..training.resume import STATE, SavedState, find_state
from .opening import open_config
from .original_network import original_network
from .preparing import build_loader, calibration_loader
from .progress import console, reporter

__all__ = ["Measured", "MeasuredPoint", "RunOptions", "is_finished", "measure", "run_config"]


@dataclass(frozen=True)
class RunOptions:
    """How a config is run.

    Attributes:
        test_only: evaluate a checkpoint instead of training.
        checkpoint: the checkpoint of `test_only`; by default the run's own, else the config's `dst_ckpt`.
        protocol: name or path of a protocol; by default the config's.
        device: torch device string.
        precision: `fp32` or `bf16` (autocast) for training; measuring is always fp32.
        seed: of all random generators.
        calibrates: recount the coding tables over the training images after training.
        overrides: values to replace in the config, by dotted path.
        resume: go on from the newest training state of the folder.
    """

    test_only: bool = False
    checkpoint: Path | None = None
    protocol: str | None = None
    device: str = "cpu"
    precision: str = "fp32"
    seed: int = 0
    calibrates: bool = True
    overrides: Mapping[str, Any] | None = None
    resume: bool = False


class MeasuredPoint(NamedTuple):
    """An operating point and what was measured on each image."""

    point: Point
    evaluation: Evaluation


@dataclass(frozen=True)
class Measured:
    """What a run measured: one point, or one for each unit of a bank, with what belongs beside them."""

    name: str
    description: str
    points: Sequence[MeasuredPoint]
    meta: Meta

    @property
    def point(self) -> Point:
        """The first point; the only one but for a bank."""
        return self.points[0].point

    @property
    def evaluation(self) -> Evaluation:
        """What was measured for the first point."""
        return self.points[0].evaluation

    def save(self, path: Path) -> ResultFile:
        """Writes the result file, in place of what is there, and a per-image table for each point beside it."""
        result = ResultFile(self.name, self.description, [each.point for each in self.points], self.meta)
        result.save(path, overwrite=True)
        for each in self.points:
            write_per_image_csv(per_image_csv_path(path, each.point.unit), each.evaluation.rows())
        return result


def run_config(config: str | Path, out: Path, options: RunOptions) -> Measured:
    """Trains (unless told not to) and measures what a config describes; writes config and checkpoint below `out`.

    Raises:
        SpicError: a config, data set, checkpoint or loss that stops the run; what was written before stays.
    """
    if options.precision not in PRECISIONS:
        raise ConfigError(f"unknown precision `{options.precision}`. {nearest(options.precision, PRECISIONS)}")
    resumed = _state_to_resume(config, out, options) if options.resume else None
    _, text, built, about, protocol = open_config(
        config, out / "config.yaml", options.device, options.seed, options.protocol, options.overrides
    )
    device = built.device
    with reporter(about["name"]) as progress:
        if options.test_only:
            checkpoint = _checkpoint_to_test(built, out, options)
            if checkpoint is not None:
                load_model_checkpoint(checkpoint, built.model)
        else:
            facts = _facts(text, options)
            if isinstance(built.model, SpicModel):  # counted exactly below, or as training goes
                built.model.observes = not options.calibrates
            checkpoint = train(built, out, options.precision, progress.step, resumed, facts)
            if options.calibrates and isinstance(built.model, SplitModel):
                loader = calibration_loader(built)
                calibrate(built.model, loader, device, lambda done: progress.step("tables", done, len(loader.dataset)))
                replace_model(checkpoint, checkpoint, built.model)
        evaluations = measure(built, protocol, progress.step)
    digest = None if checkpoint is None else file_digest(checkpoint)
    points = [
        MeasuredPoint(
            evaluation.point(
                about.get("unit") or about["name"] if len(evaluations) == 1 else unit,
                config_sha256=hashlib.sha256(text.encode()).hexdigest(),
                checkpoint_sha256=digest,
                seed=options.seed,
                extra=_shipped(built.model, unit),
            ),
            evaluation,
        )
        for unit, evaluation in evaluations.items()
    ]
    network, network_digest = original_network(built)
    model = built.model
    meta = Meta.collect(
        task=protocol.task,
        dataset=about["dataset"],
        protocol=protocol.name,
        protocol_sha256=protocol.sha256,
        network=network,
        network_sha256=network_digest,
        method=about["method"],
        supervision=about.get("supervision"),
        cut=model.cut if isinstance(model, SplitModel) else None,
        bypassed=isinstance(model, SplitModel) and model.bypassed,
        samples=len(points[0].evaluation.images),
    )
    return Measured(about["name"], about.get("description") or "", points, meta)


def _shipped(model: nn.Module, unit: str) -> dict[str, int | float | str]:
    """Returns what a SPIC unit adds to the network on both sides, parameters and bytes of its tables, and its kind."""
    if not isinstance(model, SplitModel):
        return {}
    parameters = sum(parameter.numel() for parameter in model.units[unit].parameters())
    coder: StaticCoder = model.tables[unit].coder  # type: ignore[assignment]
    return {"unit_parameters": parameters, "table_bytes": coder.table_bytes}


def measure(built: BuiltConfig, protocol: Protocol, report: Any) -> dict[str, Evaluation]:
    """Evaluates the built model on the protocol's report images, batched as the config's test loader says.

    Returns:
        What was measured, by unit; one entry, called "" where the model has no units.
    """
    loader = build_loader(built, built.config["test"]["test_data_loader"])
    if isinstance(loader.sampler, RandomSampler):
        raise ConfigError("the test loader draws images at random; use torch.utils.data.SequentialSampler.")
    dataset = loader.dataset
    ids = list(getattr(dataset, "ids", None) or [str(index) for index in range(len(dataset))])
    denominator = protocol.denominator
    pixels = None if isinstance(denominator, str) else denominator

    def progress(done: int) -> None:
        report("measuring", done, len(ids))

    def build() -> Metric:
        return build_metric(protocol, list(getattr(dataset, "classes", None) or []))

    if isinstance(built.model, SplitModel):
        return evaluate_units(built.model, loader, ids, pixels, built.device, progress, build)
    return {"": evaluate(built.model, loader, ids, pixels, built.device, progress, build())}


def is_finished(config: str | Path, out: Path, result: Path, options: RunOptions) -> bool:
    """Returns whether a run to be resumed has its result; nothing is overwritten unasked.

    Raises:
        ConfigError: the folder holds another run's result, or a training that stopped and is not to be resumed.
    """
    if result.exists() and not options.resume:
        raise ConfigError(f"{result} exists; choose another --out, or pass --overwrite.")
    if result.exists():
        _same_text(config, out, options)
        return True
    if (out / STATE).exists() and not (options.resume or options.test_only):
        raise ConfigError(
            f"{out / STATE} is of a training that stopped; pass --resume to go on, or --overwrite to begin anew."
        )
    return False


def _same_text(config: str | Path, out: Path, options: RunOptions) -> str:
    """Returns the text of a config, refusing any other than the one that `out` was run with."""
    text = resolve_config(config).read_text()
    text = render_config(text, options.overrides) if options.overrides else text
    kept = out / "config.yaml"
    if kept.is_file() and (before := kept.read_text()) != text:
        pairs = zip_longest(before.splitlines(), text.splitlines(), fillvalue="")
        line, (old, new) = next(((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (0, ("", "")))
        raise ConfigError(
            f"{kept} is another config, first in line {line} (`{old.strip()}`, now `{new.strip()}`); resume with the "
            "same config and --set values, or with that file itself, or choose another --out."
        )
    return text


def _state_to_resume(config: str | Path, out: Path, options: RunOptions) -> SavedState:
    if options.test_only:
        raise ConfigError("--test-only trains nothing, so it resumes nothing; pass one of the two.")
    saved = find_state(out)
    saved.check(_facts(_same_text(config, out, options), options))
    for path in saved.damaged:
        console.print(f"{path} is damaged and is dropped; going on from the state before it", soft_wrap=True)
    where = saved.position
    place = f"the end of epoch {where.epoch + 1}" if where.finished else f"step {where.step} of epoch {where.epoch + 1}"
    console.print(f"resuming from {saved.path}, {place}", soft_wrap=True)
    return saved


def _facts(text: str, options: RunOptions) -> dict[str, Any]:
    """Returns what a training that is resumed must find unchanged."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"config": digest, "seed": options.seed, "precision": options.precision}


def _checkpoint_to_test(built: BuiltConfig, out: Path, options: RunOptions) -> Path | None:
    if options.checkpoint is not None:
        return options.checkpoint
    own = out / CHECKPOINT
    named = built.model_config.get("dst_ckpt")
    if own.is_file():
        return own
    if named is None:
        return own if built.config.get("train") else None
    return Path(named).expanduser()
