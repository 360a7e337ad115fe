"""One training step: as the hosts take it, or for all units of a bank from one pass of the front-end."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from sc2bench.models.backbone import UpdatableBackbone
from sc2bench.models.segmentation.base import UpdatableSegmentationModel
from torch import Tensor, nn
from torchdistill.core.util import extract_io_dict

from ..errors import ConfigError
from ..ops.ranks import gathered, world_size
from ..rate_estimators import has_aux_loss
from .distributed import sum_gradients
from .student import OpenedBatch, SpicModel

__all__ = ["BankStep", "HostStep", "build_step"]

MEMORY_LIMIT = 2 << 30
_UNIT_ACTIVATIONS = 10
"""What a unit keeps for its backward pass, in features of its batch."""


class HostStep:
    """The step of torchdistill's box, whatever is trained in it.

    Several processes each give the loss of their part of a batch; the gradients are summed before the optimizer's step.
    """

    names = ("",)

    def __init__(self, box: Any, model: nn.Module) -> None:
        self.box, self.model, self.optimizer = box, model, box.optimizer
        if world_size() > 1:
            sum_gradients(box.optimizer, box.max_grad_norm)
            box.max_grad_norm = None  # the host would clip before they are summed

    def values(self, batch: Any, targets: Any, supplement: Any) -> dict[str, Tensor]:
        """Returns the loss; no gradient is computed."""
        return {"": self.box.forward_process(batch, targets, supplement)}

    def forward(
        self, batch: Any, targets: Any, supplement: Any, share: float = 1.0
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Returns the loss, twice: as a value, and for `take`; times `share`, of this process in the global batch."""
        loss = _part_of(self.box.forward_process(batch, targets, supplement), share)
        return {"": loss.detach().clone()}, loss  # the host divides it in place where steps are accumulated

    def take(self, loss: Tensor, updated: bool) -> None:
        """Takes the step. `updated`: the entropy model is fixed, so that its quantiles are not fitted any more."""
        updatable = isinstance(self.model, UpdatableBackbone | UpdatableSegmentationModel)
        if updatable and not (updated or self.model.bottleneck_updated):
            aux_module: Any = self.model.get_aux_module()  # type: ignore[operator]
            if aux_module is not None:
                _part_of(aux_module.aux_loss(), 1 / world_size()).backward()  # it reads no image
        self.box.post_forward_process(loss)


class BankStep:
    """A step of every unit of a bank: one front-end pass, one pass of the original network, one batch behind the cut.

        images -> front_end -> features --> original network behind the cut (if distilling)
                                  |-> unit 1 -> features_hat --|
                                  |-> ...                       |-> one batch -> back_end -> K outputs -> K losses
                                  |-> unit K -> features_hat --|

    Units share no parameter, so the gradient of the sum of their losses is each unit's own, and a unit learns as it
    would alone. Where the batch behind the cut would take more than `memory_limit` bytes for its backward pass, units
    go through in chunks, each with its own backward pass.

    Args:
        box: torchdistill's training box of the model.
        model: the bank.
        memory_limit: bytes that a chunk's backward pass may keep.

    Raises:
        ConfigError: the box distils from another model (`teacher_model`).
    """

    def __init__(self, box: Any, model: SpicModel, memory_limit: int = MEMORY_LIMIT) -> None:
        if not hasattr(box, "model_io_dict"):
            raise ConfigError("a bank distils from its own network; remove `teacher_model` and set `distills: True`.")
        self.box, self.model, self.memory_limit, self.optimizer = box, model, memory_limit, box.optimizer
        self.names = tuple(model.units)
        self._kept_by_one: int | None = None
        sum_gradients(box.optimizer)
        if box.max_grad_norm is not None:
            self._clip_by_unit(float(box.max_grad_norm))

    def values(self, batch: Any, targets: Any, supplement: Any) -> dict[str, Tensor]:
        """Returns each unit's loss."""
        losses = self._losses(batch, targets, supplement)
        return {name: loss for chunk in losses for name, loss in chunk.items()}

    def forward(
        self, batch: Any, targets: Any, supplement: Any, share: float = 1.0
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Returns each unit's loss and what is left for `take`, the sum of the last chunk's; each times `share`."""
        values: dict[str, Tensor] = {}
        loss: Tensor | None = None
        for chunk in self._losses(batch, targets, supplement):
            if loss is not None:  # the chunk before: its graph goes before the next is built
                (loss / max(self.box.grad_accum_step, 1)).backward()
            values.update({name: _part_of(value.detach(), share) for name, value in chunk.items()})
            loss = _part_of(torch.stack(list(chunk.values())).sum(), share)
        assert loss is not None  # a bank has units
        return values, loss

    def take(self, loss: Tensor, updated: bool) -> None:
        """Takes the step; a bank's tables are counted, so `updated` says nothing here."""
        aux = [each.aux_loss() for each in self.model.rate_estimators.values() if has_aux_loss(each)]  # type: ignore[arg-type, operator]
        if aux:
            _part_of(torch.stack(aux).sum(), 1 / world_size()).backward()
        self.box.post_forward_process(loss)

    def _losses(self, batch: Any, targets: Any, supplement: Any) -> Iterator[dict[str, Tensor]]:
        opened = self.model.open_batch(batch)
        shared = self._hooked()
        chunk = self._chunk(opened)
        for start in range(0, len(self.names), chunk):
            names = self.names[start : start + chunk]
            decoded, own = [], {}
            for name in names:
                decoded.append(self.model.run_unit(name, opened))
                own[name] = self._hooked()
            crossing = tuple(
                torch.cat([item] * len(names)) if isinstance(item, Tensor) else item for item in opened.crossing
            )
            output = self.model.run_behind(torch.cat(decoded), crossing)
            behind = {**self._hooked(), ".": {"output": output}}
            losses = {}
            for index, name in enumerate(names):
                parts = _part(behind, index, len(names))
                hooked = _joined(shared, own[name], parts)
                outputs = self.box.extract_model_loss(parts["."]["output"], targets, supp_dict=supplement)
                losses[name] = self.box.criterion({"student": hooked, "teacher": {}}, outputs, targets)
            yield losses

    def _hooked(self) -> dict[str, Any]:
        """Takes what hooks kept since they were last asked."""
        return {path: kept for path, kept in extract_io_dict(self.box.model_io_dict, self.box.device).items() if kept}

    def _chunk(self, opened: OpenedBatch) -> int:
        """Returns how many units go through the back-end at once; the first time, one pass of it is measured.

        That is in a training step, which all processes take: they must go on in chunks of one size.
        """
        if self._kept_by_one is None:
            seen: dict[int, int] = {}

            def note(tensor: Tensor) -> Tensor:
                seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                return tensor

            features = opened.features.detach().requires_grad_()
            fixed = {buffer.untyped_storage().data_ptr() for buffer in self.model.back_end.buffers()}
            with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                self.model.run_behind(features.clone(), opened.crossing)
            self._hooked()
            behind = sum(size for pointer, size in seen.items() if pointer not in fixed)
            own = _UNIT_ACTIVATIONS * features.numel() * features.element_size()
            self._kept_by_one = max(gathered(max(behind + own, 1)))
        return max(1, min(len(self.names), self.memory_limit // self._kept_by_one))

    def _clip_by_unit(self, limit: float) -> None:
        """Clips the gradient of each unit by itself: a unit learns as it would alone."""
        self.box.max_grad_norm = None

        def clip(*_: Any) -> None:
            for name in self.names:
                parts = (self.model.units[name], self.model.rate_estimators[name])
                nn.utils.clip_grad_norm_([each for part in parts for each in part.parameters()], limit)

        self.box.optimizer.register_step_pre_hook(clip)


def build_step(box: Any, model: nn.Module) -> HostStep | BankStep:
    """Returns the step of a box: all units at once where there are several."""
    if isinstance(model, SpicModel) and len(model.units) > 1:
        return BankStep(box, model)
    return HostStep(box, model)


def _part_of(loss: Tensor, share: float) -> Tensor:
    return loss if share == 1.0 else loss * share


def _part(value: Any, index: int, count: int) -> Any:
    """Returns one unit's part of what was computed on the batch of several: along the first dimension."""
    if isinstance(value, Tensor):
        return value.unflatten(0, (count, -1))[index]
    if isinstance(value, Mapping):
        return {key: _part(item, index, count) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_part(item, index, count) for item in value)
    return value


def _joined(*hooked: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    joined: dict[str, dict[str, Any]] = {}
    for each in hooked:
        for path, kept in each.items():
            joined.setdefault(path, {}).update(kept)
    return joined
