"""What a training stage needs before its first step in several processes: one model, split batches, own draws."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ConfigError
from ...ops.ranks import copy_from_first, rank, world_size
from ..build import seed_everything
from .batch_norm import share_batch_norm
from .loaders import own_batches, slices_of_batches

__all__ = ["draw_apart", "enter_stage"]


def draw_apart() -> None:
    """Gives each process but the first random generators of its own; until then all must have drawn the same."""
    if rank() > 0:
        seed_everything((int(torch.randint(2**31, ())) + rank()) % 2**31)


def enter_stage(box: Any) -> None:
    """Shares what torchdistill's box has set up for a stage: models as the first process has them, loaders, batch norm.

    Raises:
        ConfigError: something that several processes cannot share.
    """
    if world_size() == 1:
        return
    teacher = getattr(box, "teacher_model", None)
    if teacher is not None and any(isinstance(part, _BatchNorm) and part.training for part in teacher.modules()):
        raise ConfigError(
            "the teacher's batch norm is in training mode, so its targets drift with every image, also with those of "
            "the selection, which several processes share out; use `spic_eval_teacher`, or one process."
        )
    parts = [getattr(box, name, None) for name in ("model", "student_model", "criterion")]
    learning = [part for part in parts if isinstance(part, nn.Module)]
    modules = learning if teacher is None else [*learning, teacher]
    tensors = {id(each): each for module in modules for each in (*module.parameters(), *module.buffers())}
    copy_from_first(tensors.values())
    share_batch_norm(learning)
    box.train_data_loader = slices_of_batches(box.train_data_loader)
    box.val_data_loader = own_batches(box.val_data_loader)
