"""The label-free distortion: student against original output at the same layer downstream of the cut."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError, nearest
from .hooked import hooked_output

__all__ = ["SpicDistillationLoss"]

METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mae": F.l1_loss, "mse": F.mse_loss}


class SpicDistillationLoss(nn.Module):
    """Mean absolute (or squared) difference between the student's and the original network's output; no label is read.

    Args:
        layer: `.` for the final output, or a module behind the cut listed in the model's `distillation_layers`.
        metric: `mae` or `mse`.

    Raises:
        ConfigError: unknown metric.

    In a config:

        distillation:
          criterion: {key: 'SpicDistillationLoss', kwargs: {metric: 'mae'}}
          weight: 1.0

    Source: Ahuja et al., CVPR 2023, section 2.3 (deeper layers do better, Fig. 4).
    """

    def __init__(self, layer: str = ".", metric: str = "mae") -> None:
        super().__init__()
        if metric not in METRICS:
            raise ConfigError(f"unknown metric `{metric}`. {nearest(metric, METRICS)}")
        self.metric = metric
        self.student_path = "." if layer == "." else f"back_end.{layer}"
        self.original_path = "original.output" if layer == "." else f"original.{layer.replace('.', '_')}"

    def forward(self, student_io_dict: Mapping[str, Mapping[str, Any]], *args: Any, **kwargs: Any) -> Tensor:
        """Returns a scalar; raises ConfigError if a path is not hooked."""
        student = hooked_output(student_io_dict, self.student_path)
        return METRICS[self.metric](student, hooked_output(student_io_dict, self.original_path))

    def extra_repr(self) -> str:
        """Shows what is compared."""
        return f"{self.metric}, {self.student_path} against {self.original_path}"
