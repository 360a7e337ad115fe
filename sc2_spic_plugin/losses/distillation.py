"""The label-free distortion: student against original output at the same layer downstream of the cut."""

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError, nearest
from .hooked import hooked_output

__all__ = ["SpicDistillationLoss"]


def _divergence(student: Tensor, original: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the student's classes from the original's, in nats; mean of images and pixels."""
    scores, targets = F.log_softmax(student, dim=1), F.log_softmax(original, dim=1)
    return F.kl_div(scores, targets, reduction="none", log_target=True).sum(1).mean()


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mae": F.l1_loss,
    "mse": F.mse_loss,
    "kl": _divergence,
}


class SpicDistillationLoss(nn.Module):
    """Difference between the student's and the original network's output; no label is read.

    Args:
        layer: `.` for the final output, or a module behind the cut listed in the model's `distillation_layers`.
        metric: `mae` or `mse`, the mean absolute or squared difference of any output; or `kl`, the divergence between
            the classes that final scores of shape (B, classes, ...) stand for, which spends no bits on what all
            scores of an image have in common, nor on those of classes that it is not of.
        entry: which entry is compared where an output is a dict, as a segmentation network's is.

    Raises:
        ConfigError: unknown metric, or `kl` of a layer that has no classes.

    In a config:

        distillation:
          criterion: {key: 'SpicDistillationLoss', kwargs: {metric: 'mae'}}
          weight: 1.0

    Source: Ahuja et al., CVPR 2023, section 2.3, for `mae` and `mse` (deeper layers do better, Fig. 4); Hinton et al.,
    "Distilling the Knowledge in a Neural Network", 2015, for `kl`, here at temperature 1.
    """

    def __init__(self, layer: str = ".", metric: str = "mae", entry: str = "out") -> None:
        super().__init__()
        if metric not in METRICS:
            raise ConfigError(f"unknown metric `{metric}`. {nearest(metric, METRICS)}")
        if metric == "kl" and layer != ".":
            raise ConfigError(f"`kl` compares classes, and `{layer}` has features: use `mae` or `mse`, or layer `.`.")
        self.metric, self.entry = metric, entry
        self.student_path = "." if layer == "." else f"back_end.{layer}"
        self.original_path = "original.output" if layer == "." else f"original.{layer.replace('.', '_')}"

    def forward(self, student_io_dict: Mapping[str, Mapping[str, Any]], *args: Any, **kwargs: Any) -> Tensor:
        """Returns a scalar; raises ConfigError if a path is not hooked, or an output has no such entry."""
        student, original = (
            self._tensor(hooked_output(student_io_dict, path), path) for path in (self.student_path, self.original_path)
        )
        return METRICS[self.metric](student, original)

    def _tensor(self, output: Any, path: str) -> Tensor:
        if not isinstance(output, Mapping):
            return output
        if self.entry not in output:
            raise ConfigError(
                f"the output of `{path}` has no entry `{self.entry}`. {nearest(self.entry, list(output))} "
                "Set `entry` of SpicDistillationLoss."
            )
        return output[self.entry]

    def extra_repr(self) -> str:
        """Shows what is compared."""
        return f"{self.metric}, {self.student_path} against {self.original_path}"
