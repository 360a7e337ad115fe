"""Training what a config describes, in torchdistill's boxes: progress, selection on held-out images, safe stops."""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from sc2bench.models.backbone import UpdatableBackbone
from sc2bench.models.segmentation.base import UpdatableSegmentationModel
from torch import Tensor, nn
from torch.utils.data import default_collate

from ..errors import ConfigError, DataError, SpicError, TrainingError
from ..models import SplitModel
from .build import BuiltConfig
from .checkpoint import load_model_checkpoint, save_model_checkpoint
from .resume import (
    Position,
    SavedState,
    drop_leftovers,
    forget_states,
    get_generators,
    restore,
    save_state,
    set_generators,
)

__all__ = ["CHECKPOINT", "PRECISIONS", "train"]

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY = 600.0
PRECISIONS = ("fp32", "bf16")
Report = Callable[[str, int, int], None]


def train(
    built: BuiltConfig,
    out: Path,
    precision: str = "fp32",
    report: Report = lambda _what, _done, _total: None,
    resumed: SavedState | None = None,
    facts: Mapping[str, Any] | None = None,
    save_every: float = SAVE_EVERY,
) -> Path:
    """Trains the model of a config and leaves it with the weights that did best on the selection images.

    The value that selects is the training criterion (distortion plus weighted rate) in eval mode on the data set of
    `val_data_loader`, of the last training stage: it needs no label unless the criterion does.

    Args:
        built: the config, built.
        out: folder for `checkpoint.pt` (best), and `last.pt` and `previous.pt` (everything needed to go on).
        precision: `fp32`, or `bf16` for autocast.
        report: called with a description, steps done and steps in all.
        resumed: a state to go on from; what follows is, on a CPU, bitwise what would have followed without the stop.
        facts: what going on must find unchanged, kept in each state: names and plain values.
        save_every: seconds after which the state is written within an epoch too; it always is at its end.

    Returns:
        The path of the best checkpoint.

    Raises:
        ConfigError: the config says nothing about training.
        CheckpointError: `resumed` is of another network, model or optimiser.
        TrainingError: the loss is not finite; the last good checkpoint is kept.
    """
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.core.training import get_training_box

    if not built.config.get("train"):
        raise ConfigError(f"{built.path} has no `train`: measure it with --test-only, or add the part.")
    train_config, device = built.config["train"], built.device
    networks = [network for network in (built.model, built.teacher) if network is not None]
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster, bf16 above all
    args = (built.datasets, train_config, device, None, False, 1)
    try:
        box = (
            get_training_box(built.model, *args)
            if built.teacher is None
            else get_distillation_box(built.teacher, built.model, *args)
        )
    except SpicError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"training cannot be set up from {built.path}: {error!r}. Check the keys and kwargs of optimizer, "
            "scheduler, criterion and hooks under `train`; YAML reads 1e-3 as text, write 1.0e-3."
        ) from error
    checkpoint = out / CHECKPOINT
    now, restart = Position(), None
    drop_leftovers(out)
    if resumed is None:
        forget_states(out)
    else:
        restore(resumed, built.model, box)
        now = resumed.position
        now.saved &= checkpoint.is_file()
        for path in resumed.damaged:  # or the next state would push the good one out
            path.unlink()
        if now.finished:
            with warnings.catch_warnings():  # the optimizer did take its steps, before the stop
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                box.post_epoch_process()
        else:
            restart = resumed
    epoch_to_update, written = train_config.get("epoch_to_update"), time.monotonic()

    def stop(loss: float, where: str) -> TrainingError:
        kept = f"the last good checkpoint is {checkpoint}" if now.saved else "no checkpoint was made yet"
        return TrainingError(
            f"the loss is {loss} {where}; {kept}. Lower the learning rate or the rate weight, or train in fp32."
        )

    def save() -> None:
        nonlocal written
        save_state(out, built.model, box, now, facts or {})
        written = time.monotonic()

    for epoch in range(now.epoch + now.finished, box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        if getattr(box, "stage_number", 1) != now.stage:
            now.best, now.stage = math.inf, box.stage_number
        if epoch == epoch_to_update and not now.updated:
            built.model.update()  # type: ignore[operator]
            now.updated = True
        label = f"epoch {epoch + 1}/{box.num_epochs}"
        if restart is None:
            now.epoch, now.step, now.finished, now.began = epoch, 0, False, get_generators(built.model)
        for loss, step, total in _epoch(box, built, precision, now.updated, restart):
            if loss is None:  # the step was taken
                now.step = step
                if step < total and time.monotonic() - written >= save_every:
                    save()
                continue
            if not math.isfinite(loss):
                raise stop(loss, f"in {label}, step {step}")
            report(f"{label}  loss {loss:.3f}", epoch * total + step, box.num_epochs * total)
        restart = None
        value = _held_out_value(box, built.model, precision)
        if not math.isfinite(value):
            raise stop(value, f"on the selection images after {label}")
        if value < now.best or not now.saved:
            now.best, now.saved = value, True
            save_model_checkpoint(checkpoint, built.model, value)
        now.finished, now.began = True, None
        save()
        box.post_epoch_process()
    box.clean_modules()
    load_model_checkpoint(checkpoint, built.model)
    for network in networks:
        if not isinstance(network, SplitModel):  # measured as the hosts would measure it
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return checkpoint


def _autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _epoch(
    box: Any, built: BuiltConfig, precision: str, updated: bool, restart: SavedState | None = None
) -> Iterator[tuple[float | None, int, int]]:
    """Runs an epoch, or the rest of it, as sc2bench's scripts do.

    Yields:
        For each step twice (loss, step, steps in all): before the step is taken, and after it with None as loss.
    """
    model = built.model
    aux_module: Any = None
    updatable = isinstance(model, UpdatableBackbone | UpdatableSegmentationModel)
    if updatable and not (updated or model.bottleneck_updated):
        aux_module = model.get_aux_module()  # type: ignore[operator]
    total = len(box.train_data_loader)
    batches = _batches(box, model, restart)
    for step, (batch, targets, supplement) in enumerate(
        batches, start=1 if restart is None else restart.position.step + 1
    ):
        batch, targets = _to(batch, built.device), _to(targets, built.device)
        if isinstance(supplement, tuple):  # of a collate function for images and masks
            supplement = default_collate(list(supplement))
        with _autocast(built.device, precision):
            loss = box.forward_process(batch, targets, supplement)
        yield float(loss.detach()), step, total
        if aux_module is not None:
            aux_module.aux_loss().backward()
        box.post_forward_process(loss)
        yield None, step, total


def _batches(box: Any, model: nn.Module, restart: SavedState | None) -> Iterator[Any]:
    """Returns an epoch's batches; after a stop within it, those that were not trained on.

    The others are drawn once more and dropped, so that sampler, workers and augmentation stand where they stood.
    """
    if restart is None:
        return iter(box.train_data_loader)
    set_generators(model, restart.content["position"]["began"])
    batches = iter(box.train_data_loader)
    for _ in range(restart.position.step):
        next(batches)
    set_generators(model, restart.content["generators"])
    return batches


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


@torch.no_grad()
def _held_out_value(box: Any, model: nn.Module, precision: str) -> float:
    """Returns the criterion, averaged over the selection images, in eval mode; it never goes through real bytes."""
    module = box.student_model if hasattr(box, "student_model") else box.model
    module.eval()
    was_updated = getattr(model, "bottleneck_updated", False)
    if isinstance(model, SplitModel):
        model.bottleneck_updated = False
    total, count = 0.0, 0
    for batch, targets in box.val_data_loader:
        batch, targets = _to(batch, box.device), _to(targets, box.device)
        with _autocast(box.device, precision):
            loss = box.forward_process(batch, targets, None)
        total += float(loss) * len(targets)
        count += len(targets)
    if isinstance(model, SplitModel):
        model.bottleneck_updated = was_updated
    if count == 0:
        raise DataError("there is no image to select a checkpoint with; check the data set of `val_data_loader`.")
    return total / count
