"""Running one config from training to measured point: what `sc2-spic run` and the demo share."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..configs import render_config, resolve_config
from ..errors import ConfigError
from ..leaderboard import Meta
from ..models import SplitModel
from ..ops import file_digest
from ..ops.ranks import barrier, first_ahead, is_first, joined, world_size
from ..training import SpicModel
from ..training.build import BuiltConfig
from ..training.calibrate import calibrate
from ..training.checkpoint import load_model_checkpoint, replace_model, training_precision
from ..training.distributed import own_batches
from ..training.loading import calibration_loader
from ..training.loop import CHECKPOINT, train
from ..training.resume import PREVIOUS, PROCESSES, STATE, SavedState, find_state
from .measuring import Measured, MeasuredPoint, measure, measure_unit_costs, point_name, shipped
from .opening import OpenedConfig, open_config
from .original_network import original_network
from .preparing import checked_precision
from .progress import console, reporter

__all__ = ["RESULT", "RunOptions", "checkpoint_to_test", "is_finished", "run_config", "train_config"]

Report = Callable[[str, int, int], None]
RESULT = "result.json"


@dataclass(frozen=True)
class RunOptions:
    """How a config is run.

    Attributes:
        test_only: evaluate a checkpoint instead of training.
        checkpoint: the checkpoint of `test_only`; by default the run's own, else the config's `dst_ckpt`.
        protocol: name or path of a protocol; by default the config's.
        device: torch device string; `cuda` gives each process of torchrun a GPU of its own.
        precision: `fp32`, `bf16` (autocast) or `auto` (bf16 where the device has instructions for it) for training;
            measuring is always fp32.
        seed: of all random generators.
        calibrates: recount the coding tables over the training images after training.
        overrides: values to replace in the config, by dotted path.
        resume: go on from the newest training state of the folder.
        costs: measure encoder size, operations and latency too.
        compiles: have `torch.compile` compile the units: a minute's wait, then about twice the speed in them.
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
    costs: bool = True
    compiles: bool = False


def run_config(config: str | Path, out: Path, options: RunOptions) -> Measured:
    """Trains (unless told not to) and measures what a config describes; writes config and checkpoint below `out`.

    Started by torchrun, the processes share every batch and the images that are measured, and all return the same
    result; each must see `out`, and the first writes.

    Raises:
        SpicError: a config, data set, checkpoint or loss that stops the run; what was written before stays.
    """
    with joined(options.device) as device:
        resumed, options = _begun(config, out, options)
        opened = _opened(config, out, options, device)
        with _progress(opened.about["name"]) as report:
            if options.test_only:
                checkpoint = checkpoint_to_test(opened.built, out, options.checkpoint)
                if checkpoint is not None:
                    load_model_checkpoint(checkpoint, opened.built.model)
            else:
                checkpoint = _trained(opened, out, options, resumed, report)
            return _measured(opened, checkpoint, options, report)


def train_config(config: str | Path, out: Path, options: RunOptions) -> Path:
    """Trains what a config describes and measures nothing: with a store, no image is read.

    Returns:
        The checkpoint.

    Raises:
        SpicError: as `run_config`.
    """
    with joined(options.device) as device:
        resumed, options = _begun(config, out, options)
        opened = _opened(config, out, options, device, is_measured=False)
        with _progress(opened.about["name"]) as report:
            return _trained(opened, out, options, resumed, report)


def _begun(config: str | Path, out: Path, options: RunOptions) -> tuple[SavedState | None, RunOptions]:
    """Returns the state to go on from, None for a new run, and the options with `fp32` or `bf16` in place of `auto`.

    A training goes on in what it began in, on a device that is fast in something else too.
    """
    saved = _state_to_resume(out, options) if options.resume else None
    began_in = None if saved is None else saved.content["facts"].get("precision")
    precision = began_in if began_in is not None and options.precision == "auto" else options.precision
    options = replace(options, precision=checked_precision(precision, options.device))
    if saved is not None:
        saved.check(_facts(_same_text(config, out, options), options))
        _say_where(saved)
    return saved, options


def _opened(config: str | Path, out: Path, options: RunOptions, device: str, is_measured: bool = True) -> OpenedConfig:
    with first_ahead():
        return open_config(
            config, out / "config.yaml", device, options.seed, options.protocol, options.overrides, is_measured
        )


def _trained(opened: OpenedConfig, out: Path, options: RunOptions, resumed: SavedState | None, report: Report) -> Path:
    built = opened.built
    if isinstance(built.model, SpicModel):  # counted exactly below, or as training goes
        built.model.observes = not options.calibrates
        if options.compiles:
            for unit in built.model.units.values():
                unit.compile()
    if resumed is None and is_first():
        (out / RESULT).unlink(missing_ok=True)  # else a training that is stopped would seem to have that result
    checkpoint = train(built, out, options.precision, report, resumed, _facts(opened.text, options))
    if options.calibrates and isinstance(built.model, SplitModel):
        loader = own_batches(calibration_loader(built))
        total = math.ceil(len(loader.dataset) / world_size())
        calibrate(built.model, loader, built.device, lambda done: report("tables", done, total))
        if is_first():
            replace_model(checkpoint, checkpoint, built.model)
        barrier()
    return checkpoint


def _measured(opened: OpenedConfig, checkpoint: Path | None, options: RunOptions, report: Report) -> Measured:
    _, text, built, about, protocol = opened
    evaluations = measure(built, protocol, report)
    costs = measure_unit_costs(built, protocol, list(evaluations), report) if options.costs else {}
    digest = None if checkpoint is None else file_digest(checkpoint)
    precision: str | None = options.precision
    if options.test_only:
        precision = None if checkpoint is None else training_precision(checkpoint)
    trained_in = {} if precision is None else {"training_precision": precision}
    points = [
        MeasuredPoint(
            evaluation.point(
                point_name(unit, about),
                config_sha256=hashlib.sha256(text.encode()).hexdigest(),
                checkpoint_sha256=digest,
                seed=options.seed,
                extra={**shipped(built.model, unit), **trained_in, **(costs[unit].extra() if unit in costs else {})},
                **(costs[unit].point_fields() if unit in costs else {}),
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
        cut=model.cut if isinstance(model, SplitModel) else about.get("cut"),
        bypassed=isinstance(model, SplitModel) and model.bypassed,
        samples=len(points[0].evaluation.images),
    )
    return Measured(about["name"], about.get("description") or "", points, meta)


@contextmanager
def _progress(title: str) -> Iterator[Report]:
    """Opens a progress line in the first process, and gives what moves it on."""
    if is_first():
        with reporter(title) as progress:
            yield progress.step
    else:
        yield lambda _what, _done, _total: None


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
    state = next((path for path in (out / STATE, out / PREVIOUS) if path.exists()), None)
    if state is not None and not (options.resume or options.test_only):
        raise ConfigError(
            f"{state} is of a training that stopped; pass --resume to go on, or --overwrite to begin anew."
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


def _state_to_resume(out: Path, options: RunOptions) -> SavedState:
    if options.test_only:
        raise ConfigError("--test-only trains nothing, so it resumes nothing; pass one of the two.")
    return find_state(out)


def _say_where(saved: SavedState) -> None:
    """Tells the user from where a training goes on."""
    if not is_first():
        return
    for path in saved.damaged:
        console.print(f"{path} is damaged and is dropped; going on from the state before it", soft_wrap=True)
    where = saved.position
    place = f"the end of epoch {where.epoch + 1}" if where.finished else f"step {where.step} of epoch {where.epoch + 1}"
    console.print(f"resuming from {saved.path}, {place}", soft_wrap=True)


def _facts(text: str, options: RunOptions) -> dict[str, Any]:
    """Returns what a training that is resumed must find unchanged."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {
        "config": digest,
        "seed": options.seed,
        "precision": options.precision,
        "compiled": options.compiles,
        PROCESSES: world_size(),
    }


def checkpoint_to_test(built: BuiltConfig, out: Path, given: Path | None = None) -> Path | None:
    """Returns the checkpoint that is measured: `given`, a run's own, else the config's; None: nothing is loaded."""
    if given is not None:
        return given
    own = out / CHECKPOINT
    named = built.model_config.get("dst_ckpt")
    if own.is_file():
        return own
    if named is None:
        return own if built.config.get("train") else None
    return Path(named).expanduser()
