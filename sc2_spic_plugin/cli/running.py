"""Running one config from training to measured point: what `sc2-spic run` and the demo share."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..configs import check_config, render_config, resolve_config
from ..errors import ConfigError, nearest
from ..leaderboard import Meta, Point, Protocol, ResultFile, check_transform, load_protocol
from ..leaderboard.evaluate import Evaluation, evaluate
from ..models import SplitModel
from ..ops import file_digest, tensors_digest, write_atomic
from ..training.build import BuiltConfig, build_config, quiet_hosts, seed_everything
from ..training.calibrate import calibrate
from ..training.checkpoint import load_model_checkpoint, replace_model
from ..training.loop import CHECKPOINT, PRECISIONS, train
from .progress import reporter

__all__ = ["Measured", "RunOptions", "run_config"]

_RESULT_KEYS = ("name", "description", "method", "supervision", "dataset", "protocol", "unit")


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
    """

    test_only: bool = False
    checkpoint: Path | None = None
    protocol: str | None = None
    device: str = "cpu"
    precision: str = "fp32"
    seed: int = 0
    calibrates: bool = True
    overrides: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Measured:
    """A measured operating point with what belongs beside it."""

    name: str
    description: str
    point: Point
    meta: Meta
    evaluation: Evaluation

    def result(self) -> ResultFile:
        """Returns the result file of this one point."""
        return ResultFile(self.name, self.description, [self.point], self.meta)


def run_config(config: str | Path, out: Path, options: RunOptions) -> Measured:
    """Trains (unless told not to) and measures what a config describes; writes config and checkpoint below `out`.

    Raises:
        SpicError: a config, data set, checkpoint or loss that stops the run; what was written before stays.
    """
    path = resolve_config(config)
    text = path.read_text()
    if options.overrides:
        text = render_config(text, options.overrides)
    problems = check_config(text)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"{path} cannot be run:\n{listed}")
    device = checked_device(options.device)
    if options.precision not in PRECISIONS:
        raise ConfigError(f"unknown precision `{options.precision}`. {nearest(options.precision, PRECISIONS)}")
    rendered = write_atomic(out / "config.yaml", text)
    quiet_hosts()
    seed_everything(options.seed)
    built = build_config(rendered, device)
    about = _about(built, path)
    protocol = load_protocol(options.protocol or about["protocol"])
    _check_protocol(built, protocol)
    with reporter(about["name"]) as progress:
        if options.test_only:
            checkpoint = _checkpoint_to_test(built, out, options)
            if checkpoint is not None:
                load_model_checkpoint(checkpoint, built.model)
        else:
            checkpoint = train(built, out, options.precision, progress.step)
            if options.calibrates and isinstance(built.model, SplitModel):
                loader = calibration_loader(built)
                calibrate(built.model, loader, device, lambda done: progress.step("tables", done, len(loader.dataset)))
                replace_model(checkpoint, checkpoint, built.model)
        evaluation = measure(built, protocol, progress.step)
    point = evaluation.point(
        about.get("unit") or about["name"],
        config_sha256=hashlib.sha256(text.encode()).hexdigest(),
        checkpoint_sha256=None if checkpoint is None else file_digest(checkpoint),
        seed=options.seed,
        extra=_shipped(built.model),
    )
    name, digest = _original_network(built)
    model = built.model
    meta = Meta.collect(
        task="classification",
        dataset=about["dataset"],
        protocol=protocol.name,
        protocol_sha256=protocol.sha256,
        network=name,
        network_sha256=digest,
        method=about["method"],
        supervision=about.get("supervision"),
        cut=model.cut if isinstance(model, SplitModel) else None,
        bypassed=isinstance(model, SplitModel) and model.bypassed,
        samples=len(evaluation.images),
    )
    return Measured(about["name"], about.get("description") or "", point, meta, evaluation)


def _shipped(model: nn.Module) -> dict[str, int]:
    """Returns what a SPIC unit adds to the network on both sides: parameters, and bytes of its tables."""
    if not isinstance(model, SplitModel):
        return {}
    parameters = sum(parameter.numel() for parameter in model.unit.parameters())
    return {"unit_parameters": parameters, "table_bytes": model.symbol_tables.coder.table_bytes}


def measure(built: BuiltConfig, protocol: Protocol, report: Any) -> Evaluation:
    """Evaluates the built model on the protocol's report images, batched as the config's test loader says."""
    loader = _loader(built, built.config["test"]["test_data_loader"])
    dataset = loader.dataset
    ids = list(getattr(dataset, "ids", None) or [str(index) for index in range(len(dataset))])
    height, width = protocol.denominator
    return evaluate(
        built.model, loader, ids, (height, width), built.device, lambda done: report("measuring", done, len(ids))
    )


def checked_device(name: str) -> torch.device:
    """Returns the device.

    Raises:
        ConfigError: no such device, or none of it here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"the device `{name}` cannot be used: {reason} Use `cpu`, or `cuda` with a GPU.") from error
    return device


def _loader(built: BuiltConfig, config: dict[str, Any], dataset: Any = None) -> Any:
    from torchdistill.datasets.util import build_data_loader

    plain = {key: value for key, value in config.items() if key != "requires_supp"}
    return build_data_loader(built.datasets[config["dataset_id"]] if dataset is None else dataset, plain, False)


def calibration_loader(built: BuiltConfig) -> Any:
    """Returns a loader of all training images of the last stage, prepared as images are when they are measured.

    The training transform crops and flips at random; the tables shall fit what is sent, so the transform of the
    selection images takes its place where both data sets have one.

    Raises:
        ConfigError: the config says nothing about training.
    """
    if not built.config.get("train"):
        raise ConfigError(f"{built.path} has no `train`, so no training images to count on.")
    stage = _last_stage(built)
    config = stage["train_data_loader"]
    dataset = built.datasets[config["dataset_id"]]
    transform = getattr(built.datasets[stage["val_data_loader"]["dataset_id"]], "transform", None)
    if transform is not None and hasattr(dataset, "transform"):
        dataset = copy.copy(dataset)
        dataset.transform = transform
    return _loader(built, {**config, "kwargs": {**config["kwargs"], "drop_last": False}}, dataset)


def _last_stage(built: BuiltConfig) -> dict[str, Any]:
    stages = sorted((key for key in built.config["train"] if key.startswith("stage")), key=lambda key: int(key[5:]))
    return built.config["train"][stages[-1]] if stages else built.config["train"]


def _about(built: BuiltConfig, path: Path) -> dict[str, Any]:
    about = dict(built.config.get("result") or {})
    for key in about:
        if key not in _RESULT_KEYS:
            raise ConfigError(f"unknown key `{key}` under `result`. {nearest(key, _RESULT_KEYS)}")
    about.setdefault("name", path.stem)
    for key in ("method", "dataset"):
        about.setdefault(key, "unnamed")
    if "protocol" not in about:
        raise ConfigError(f"{path} names no protocol; add `result: {{protocol: ...}}` or pass --protocol.")
    return about


def _check_protocol(built: BuiltConfig, protocol: Protocol) -> None:
    """Refuses a run whose data sets are not the protocol's, before any time is spent on it."""
    test_id = built.config["test"]["test_data_loader"]["dataset_id"]
    if test_id != protocol.report:
        raise ConfigError(f"the config tests on `{test_id}`, protocol {protocol.name} reports `{protocol.report}`.")
    check_transform(protocol, getattr(built.datasets[test_id], "transform", None))
    if built.config.get("train"):
        selection = _last_stage(built)["val_data_loader"]["dataset_id"]
        if selection != protocol.selection:
            raise ConfigError(
                f"the config selects checkpoints on `{selection}`, protocol {protocol.name} on "
                f"`{protocol.selection}`; set `val_data_loader.dataset_id`."
            )


def _checkpoint_to_test(built: BuiltConfig, out: Path, options: RunOptions) -> Path | None:
    if options.checkpoint is not None:
        return options.checkpoint
    own = out / CHECKPOINT
    named = built.model_config.get("dst_ckpt")
    if own.is_file() or named is None:
        return own if built.config.get("train") else None
    return Path(named).expanduser()


def _original_network(built: BuiltConfig) -> tuple[str, str]:
    """Returns name and digest of the original network that this result is about."""
    if isinstance(built.model, SplitModel):
        return str(built.model_config["kwargs"]["network"]["key"]), bytes(built.model.network_digest.tolist()).hex()
    if built.teacher is not None:
        from ..models.frozen import frozen_state

        config = built.config["models"]["teacher_model"]
        key = (config.get("kwargs") or {}).get("network", config)["key"]
        return str(key), tensors_digest(frozen_state(built.teacher) or built.teacher.state_dict())
    inner = getattr(built.model, "classification_model", built.model)
    config = built.model_config.get("classification_model", built.model_config)
    return str(config["key"]), tensors_digest(inner.state_dict())
