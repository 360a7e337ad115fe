"""A teacher for the hosts' teacher/student boxes that stays in eval mode, bit for bit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .frozen import freeze_network
from .network import build_network

__all__ = ["spic_eval_teacher"]


def spic_eval_teacher(network: Mapping[str, Any], task: str = "classification") -> nn.Module:
    """Builds a network whose batch-norm statistics and weights nothing can change; module paths are the original's.

    torchdistill leaves its teacher in training mode, so that its statistics drift with every batch and with them
    the distillation targets; this teacher works around that, for Entropic Student configs as well.

        teacher_model:
          key: 'spic_eval_teacher'
          kwargs:
            network: {key: 'resnet50', kwargs: {num_classes: 1000, weights: 'IMAGENET1K_V1'}}

    Args:
        network: `key`, `kwargs` and `src_ckpt`.
        task: `classification` or `segmentation`.
    """
    teacher = build_network(network, task)
    freeze_network(teacher)
    return teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as the halves of a split model
