"""The rate term of the loss."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .hooked import hooked_output

__all__ = ["SpicRateLoss"]


class SpicRateLoss(nn.Module):
    """Mean estimated rate of the batch, in bits per image pixel (for the l1 estimator: l1 norm per image pixel).

    Args:
        module_path: where the model puts the rate (B,).

    In a config:

        rate:
          criterion: {key: 'SpicRateLoss', kwargs: {}}
          weight: 1.0
    """

    def __init__(self, module_path: str = "rate") -> None:
        super().__init__()
        self.module_path = module_path

    def forward(self, student_io_dict: Mapping[str, Mapping[str, Any]], *args: Any, **kwargs: Any) -> Tensor:
        """Returns a scalar; raises ConfigError if the path is not hooked."""
        return hooked_output(student_io_dict, self.module_path).mean()
