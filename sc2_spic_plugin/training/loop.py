"""Training what a config describes, in torchdistill's boxes: progress, selection on held-out images, safe stops."""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from ..errors import ConfigError, DataError, SpicError, TrainingError
from ..models import SplitModel
from ..ops import VOID_LABEL
from ..ops.ranks import barrier, from_first, gathered, is_first, sum_in_place
from .batches import DataWait, to_device
from .build import BuiltConfig
from .checkpoint import load_model_checkpoint
from .distributed import draw_apart, enter_stage, share_of_batch, sums_as_means, weighted_by_share
from .loading import resumable_config
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
from .selection import Selection
from .steps import BankStep, HostStep, build_step
from .store import FeatureStore

__all__ = ["CHECKPOINT", "train"]

CHECKPOINT = "checkpoint.pt"
SAVE_EVERY = 600.0
_STEPS_UNSEEN = 32
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

    Several processes (`ops.ranks.joined`) share every batch and end with the weights that one would; each must see the
    folder, and the first writes.

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
    args = (built.datasets, resumable_config(train_config), device, None, False, 1)
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
    for dataset in built.datasets.values():
        if isinstance(dataset, FeatureStore):
            if not isinstance(built.model, SplitModel):
                raise ConfigError(f"the model of {built.path} is not cut anywhere; train it from images.")
            dataset.check(built.model)
    checkpoint = out / CHECKPOINT
    now, restart = Position(), None
    barrier()  # all have read what the first may remove
    if is_first():
        drop_leftovers(out)
    if resumed is None:
        if is_first():
            forget_states(out)
            checkpoint.unlink(missing_ok=True)  # else it would be taken for this training's
        enter_stage(box)
        draw_apart()
    else:
        restore(resumed, built.model, box)
        now = resumed.position
        for path in resumed.damaged if is_first() else ():  # or the next state would push the good one out
            path.unlink()
        if now.finished:
            with warnings.catch_warnings():  # the optimizer did take its steps, before the stop
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                box.post_epoch_process()
        else:
            restart = resumed
        enter_stage(box)
    taker = build_step(box, built.model)
    selection = Selection(built.model, taker.names, checkpoint, now.best, precision)
    epoch_to_update, written = train_config.get("epoch_to_update"), time.monotonic()

    def stop(loss: float, unit: str, where: str) -> TrainingError:
        kept = f"the last good checkpoint is {checkpoint}" if selection.best_is_saved else "no checkpoint was made yet"
        return TrainingError(
            f"the loss{f' of unit `{unit}`' if unit else ''} is {loss} {where}; {kept}. Lower the learning rate or the "
            "rate weight, or train in fp32."
        )

    def save() -> None:
        nonlocal written
        now.best = selection.best
        save_state(out, built.model, box, now, facts or {})
        written = time.monotonic()

    wait = DataWait()
    for epoch in range(now.epoch + now.finished, box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        if getattr(box, "stage_number", 1) != now.stage:
            now.stage = box.stage_number
            selection.start_stage()
            enter_stage(box)
        if taker.optimizer is not box.optimizer:
            taker = build_step(box, built.model)
        if epoch == epoch_to_update and not now.updated:
            if getattr(built.model, "observes", True):  # else its tables are counted once all is trained
                built.model.update()  # type: ignore[operator]
            now.updated = True
        label = f"epoch {epoch + 1}/{box.num_epochs}"
        if restart is None:
            now.epoch, now.step, now.finished, now.began = epoch, 0, False, get_generators(built.model)
        for losses, step, total in _epoch(taker, box, built, precision, now.updated, wait, restart):
            if losses is None:  # the step was taken
                now.step = step
                if step < total and from_first(lambda: time.monotonic() - written >= save_every):
                    save()
                continue
            for unit, loss in losses.items():
                if not math.isfinite(loss):
                    raise stop(loss, unit, f"in {label}, step {step}")
            mean = sum(losses.values()) / len(losses)
            report(
                f"{label}  loss {mean:.3f}  waiting for data {wait.share:.0%}",
                epoch * total + step,
                box.num_epochs * total,
            )
        restart = None
        values = _held_out_values(taker, box, built.model, precision)
        for unit, value in values.items():
            if not math.isfinite(value):
                raise stop(value, unit, f"on the selection images after {label}")
        selection.offer(values)
        now.finished, now.began = True, None
        save()
        box.post_epoch_process()
    box.clean_modules()
    barrier()  # the first has written it
    load_model_checkpoint(checkpoint, built.model)
    for network in networks:
        if not isinstance(network, SplitModel):  # measured as the hosts would measure it
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return checkpoint


def _autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _epoch(
    taker: HostStep | BankStep,
    box: Any,
    built: BuiltConfig,
    precision: str,
    updated: bool,
    wait: DataWait,
    restart: SavedState | None = None,
) -> Iterator[tuple[dict[str, float] | None, int, int]]:
    """Runs an epoch, or the rest of it, as sc2bench's scripts do.

    Yields:
        For each step twice (losses of the global batch by unit, step, steps in all): before the step is taken, and
        after it with None. On a GPU, which must not be waited for, losses come every so many steps.
    """
    total = len(box.train_data_loader)
    if total == 0:
        raise DataError(
            "the training images make no batch: lower `batch_size` of `train_data_loader`, or set `drop_last: False`."
        )
    batches = _batches(box, built.model, restart)
    seen: list[dict[str, Tensor]] = []
    for step, (batch, targets, supplement) in enumerate(
        wait.watch(batches), start=1 if restart is None else restart.position.step + 1
    ):
        batch, targets = to_device(batch, built.device), to_device(targets, built.device)
        if isinstance(supplement, tuple):  # of a collate function for images and masks
            supplement = default_collate(list(supplement))
        share = share_of_batch(box.train_data_loader, step - 1)
        with _autocast(built.device, precision), weighted_by_share(box.criterion, share, targets):
            losses, left = taker.forward(batch, targets, supplement, share)
        seen.append(losses)
        if built.device.type == "cpu" or len(seen) == _STEPS_UNSEEN or step == total:
            yield _worst(seen), step, total
            seen = []
        taker.take(left, updated)
        if not seen:
            yield None, step, total


def _worst(seen: list[dict[str, Tensor]]) -> dict[str, float]:
    """Returns each unit's last loss over all processes, or one that is not finite if there was any."""
    stacked = torch.stack([torch.stack([losses[name].float() for name in losses]) for losses in seen])
    sum_in_place([stacked])
    stacked = stacked.cpu()
    broken = ~torch.isfinite(stacked)
    rows = torch.where(broken.any(0), broken.int().argmax(0), len(seen) - 1)
    return {name: float(stacked[rows[column], column]) for column, name in enumerate(seen[0])}


def _batches(box: Any, model: nn.Module, restart: SavedState | None) -> Iterator[Any]:
    """Returns an epoch's batches; after a stop within it, those that were not trained on.

    The others are drawn once more and dropped, so that sampler, workers and augmentation stand where they stood.
    """
    if restart is None:
        return iter(box.train_data_loader)
    set_generators(model, restart.own["began"])
    batches = iter(box.train_data_loader)
    for _ in range(restart.position.step):
        next(batches)
    set_generators(model, restart.own["generators"])
    return batches


@torch.no_grad()
def _held_out_values(taker: HostStep | BankStep, box: Any, model: nn.Module, precision: str) -> dict[str, float]:
    """Returns the criterion by unit, averaged over the selection images, in eval mode.

    A split model never goes through real bytes here; sc2bench's own models do once they are updated.
    """
    module = box.student_model if hasattr(box, "student_model") else box.model
    module.eval()
    was_updated = getattr(model, "bottleneck_updated", False)
    if isinstance(model, SplitModel):
        model.bottleneck_updated = False
    found: list[tuple[dict[str, float], int]] = []
    for batch, targets in box.val_data_loader:
        batch, targets = to_device(batch, box.device), to_device(targets, box.device)
        with _autocast(box.device, precision), sums_as_means(box.criterion, len(targets)):
            values = taker.values(batch, targets, None)
        if _is_void(targets) and any(math.isnan(float(value)) for value in values.values()):
            continue  # a mean over no labelled pixel
        found.append(({name: float(value) for name, value in values.items()}, len(targets)))
    if isinstance(model, SplitModel):
        model.bottleneck_updated = was_updated
    totals, count = dict.fromkeys(taker.names, 0.0), 0
    for of_batch, images in (batch for of_rank in gathered(found) for batch in of_rank):
        for name, mean in of_batch.items():
            totals[name] += mean * images
        count += images
    if count == 0:
        raise DataError(
            "there is no image, or none with a labelled pixel, to select a checkpoint with; check the data set of "
            "`val_data_loader`."
        )
    return {name: total / count for name, total in totals.items()}


def _is_void(targets: Any) -> bool:
    """Whether targets are masks without a labelled pixel."""
    return isinstance(targets, Tensor) and targets.dim() > 1 and bool((targets == VOID_LABEL).all())
