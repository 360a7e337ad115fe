"""The state of a training in progress: kept twice on disk, found again after a stop, put back bit for bit."""

import os
import random
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..models import SplitModel
from ..models.network import load_torch_file
from ..ops import write_atomic
from ..ops.ranks import gathered, is_first, rank, world_size

__all__ = [
    "PREVIOUS",
    "PROCESSES",
    "STATE",
    "Position",
    "SavedState",
    "drop_leftovers",
    "find_state",
    "forget_states",
    "get_generators",
    "restore",
    "save_state",
    "set_generators",
]

STATE, PREVIOUS = "last.pt", "previous.pt"
PROCESSES = "number of processes"
"""The fact that says how many processes share a training; each has generators of its own."""
_LAYOUT = 2
_BEFORE = {PROCESSES: 1}
"""Facts of states that were written before they were kept."""
_TABLES = ("_quantized_cdf", "_offset", "_cdf_length", "scale_table")


@dataclass
class Position:
    """Where a training is, beside its tensors.

    Attributes:
        epoch: index of the epoch, over all stages.
        step: how many of its steps were taken.
        finished: whether the epoch is over, selection included.
        stage: number of the stage, from 1.
        best: the best value of this stage, by unit; empty while there is no best checkpoint.
        updated: whether `epoch_to_update` has come.
        began: the random generators when the epoch's batches began; None once it is finished.
    """

    epoch: int = -1
    step: int = 0
    finished: bool = True
    stage: int = 1
    best: dict[str, float] = field(default_factory=dict)
    updated: bool = False
    began: dict[str, Any] | None = None


@dataclass(frozen=True)
class SavedState:
    """A state file that was read; `damaged` are newer ones that could not be."""

    path: Path
    content: dict[str, Any]
    damaged: tuple[Path, ...] = ()

    @property
    def position(self) -> Position:
        """Where the training was, with the generators of this process."""
        return Position(**{**self.content["position"], "began": self.own["began"]})

    @property
    def own(self) -> Mapping[str, Any]:
        """What this process keeps apart from the others: `generators`, `began` and `gradients`."""
        if rank() > 0:
            return self.content["others"][rank() - 1]
        return {**self.content, "began": self.content["position"]["began"]}

    def check(self, facts: Mapping[str, Any]) -> None:
        """Refuses to go on under other circumstances than those the state was made in.

        Raises:
            ConfigError: what differs.
        """
        for name, value in facts.items():
            kept = self.content["facts"].get(name, _BEFORE.get(name))
            if kept != value:
                raise ConfigError(
                    f"{self.path} was made with another {name} ({kept}, now {value}); go on with the same one, or "
                    "begin anew in another folder."
                )


def save_state(out: Path, model: nn.Module, box: Any, position: Position, facts: Mapping[str, Any]) -> Path:
    """Writes all that going on needs to `last.pt`; the one before it stays as `previous.pt`.

    Every process must call it, the first writes.
    """
    scheduler, path = box.lr_scheduler, out / STATE
    own, *others = gathered(
        {
            "generators": get_generators(model),
            "began": position.began,
            "gradients": [parameter.grad for parameter in _optimized(box)],  # None, but while they are accumulated
        }
    )
    if not is_first():
        return path
    state = {
        "layout": _LAYOUT,
        "facts": dict(facts),
        "position": vars(position),
        "model": model.state_dict(),
        "beside": dict(_beside(model, box)),
        "optimizer": box.optimizer.state_dict(),
        "gradients": own["gradients"],
        "steps_of_stage": box.stage_grad_count,
        "lr_scheduler": None if scheduler is None else scheduler.state_dict(),
        "generators": own["generators"],
        "others": others,
    }

    def write(file: Any) -> None:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
        if path.is_file():  # only now, so that a full disk costs neither of the two
            path.replace(out / PREVIOUS)

    return write_atomic(path, write)


def find_state(out: Path) -> SavedState:
    """Returns the newest state in a folder that can be read.

    Raises:
        ConfigError: there is none.
        CheckpointError: all are damaged, or of another version.
    """
    damaged: list[Path] = []
    for path in (out / STATE, out / PREVIOUS):
        if not path.is_file():
            continue
        try:
            with zipfile.ZipFile(path) as archive:  # torch itself does not look at the check sums
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
            content = load_torch_file(path)
        except OSError:
            raise
        except Exception:  # what a damaged file raises depends on where it is damaged
            damaged.append(path)
            continue
        if not isinstance(content, dict) or content.get("layout") != _LAYOUT:
            raise CheckpointError(f"{path} is no training state of this version; begin anew with --overwrite.")
        return SavedState(path, content, tuple(damaged))
    if damaged:
        names = " and ".join(map(str, damaged))
        raise CheckpointError(f"{names} cannot be read, so there is nothing to go on from; begin anew (--overwrite).")
    raise ConfigError(f"{out} has no {STATE}, so there is nothing to resume; run without --resume.")


def forget_states(out: Path) -> None:
    """Removes what an earlier training left, so that this one never goes on from it."""
    for path in (out / STATE, out / PREVIOUS):
        path.unlink(missing_ok=True)


def drop_leftovers(out: Path) -> None:
    """Removes the halves of files that were being written when a training was killed."""
    for path in out.glob(".*.pt.*.tmp"):
        path.unlink(missing_ok=True)


def restore(saved: SavedState, model: nn.Module, box: Any) -> None:
    """Puts a freshly built model and box into the saved state; the box is moved to its stage first.

    Raises:
        CheckpointError: the state is of another network, model or optimiser.
    """
    state = saved.content
    try:
        if len(state.get("others", ())) + 1 != world_size():
            raise ValueError("it was made by another number of processes")
        position = saved.position
        _advance(box, position)
        own = model.state_dict()
        if sorted(own) != sorted(state["model"]):
            raise ValueError("the model has other tensors")
        if position.updated:
            _mark_updated(model, state["model"])
        model.load_state_dict(dict(state["model"]))  # the hosts take tensors out of what they are given
        beside = dict(_beside(model, box))
        if sorted(beside) != sorted(state["beside"]):
            raise ValueError("the modules beside the model have other tensors")
        with torch.no_grad():
            for name, value in beside.items():
                value.copy_(state["beside"][name])
        box.optimizer.load_state_dict(state["optimizer"])
        for parameter, gradient in zip(_optimized(box), saved.own["gradients"], strict=True):
            parameter.grad = None if gradient is None else gradient.to(parameter.device)
        if box.lr_scheduler is not None:
            box.lr_scheduler.load_state_dict(state["lr_scheduler"])
    except (CheckpointError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{saved.path} does not fit the training of this config: {error}") from error
    box.stage_grad_count = state["steps_of_stage"]
    set_generators(model, saved.own["generators"])


def _advance(box: Any, position: Position) -> None:
    """Moves a box that was just built to the stage and epoch of a position."""
    if position.stage > 1:
        box.save_stage_ckpt = lambda *_: None  # what the stage left on disk is better than a model not restored yet
        for _ in range(position.stage - 1):
            box.advance_to_next_stage()
        del box.save_stage_ckpt
    box.current_epoch = position.epoch


def _mark_updated(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Makes a model like one whose `update()` was called; the tables themselves are in `state`."""
    if isinstance(model, SplitModel):
        model.bottleneck_updated = True
        return
    model.update()  # type: ignore[operator]  # sets flags of the bottleneck too
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] in _TABLES and buffer.shape != state[name].shape:
            buffer.resize_(state[name].shape)


def _optimized(box: Any) -> list[nn.Parameter]:
    return [parameter for group in box.optimizer.param_groups for parameter in group["params"]]


def _beside(model: nn.Module, box: Any) -> Iterator[tuple[str, Tensor]]:
    """Yields the tensors of the box that are not the model's and can change: adapters, a teacher that learns too."""
    own = {id(value) for value in model.state_dict(keep_vars=True).values()}
    teacher = getattr(box, "teacher_model", None)
    if teacher is not None and not (teacher.training or any(each.requires_grad for each in teacher.parameters())):
        teacher = None
    student = getattr(box, "student_model", None) or getattr(box, "model", None)
    for role, module in (("student", student), ("teacher", teacher), ("criterion", box.criterion)):
        if isinstance(module, nn.Module):
            for name, value in module.state_dict(keep_vars=True).items():
                if isinstance(value, Tensor) and id(value) not in own:
                    yield f"{role}.{name}", value


def get_generators(model: nn.Module) -> dict[str, Any]:
    """Returns the states of all random generators, as plain data that `weights_only=True` reads."""
    numpy_state: Any = np.random.get_state(legacy=False)
    inner = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": {
            "key": torch.from_numpy(inner["key"].astype(np.int64)),
            "pos": int(inner["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "estimators": {name: each.get_rng_state() for name, each in getattr(model, "rate_estimators", {}).items()},
    }


def set_generators(model: nn.Module, states: Mapping[str, Any]) -> None:
    """Goes on where `get_generators` was called; CUDA's only on as many devices as there were."""
    random.setstate(states["python"])
    kept = states["numpy"]
    np.random.set_state(
        ("MT19937", kept["key"].numpy().astype(np.uint32), *(kept[k] for k in ("pos", "has_gauss", "gauss")))
    )
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available() and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
    for name, state in states["estimators"].items():
        model.rate_estimators[name].set_rng_state(state)  # type: ignore[index, union-attr]
