"""Loss terms that SPIC adds to the hosts'; supervised training uses the hosts' cross-entropy."""

from .distillation import SpicDistillationLoss
from .rate import SpicRateLoss

__all__ = ["SpicDistillationLoss", "SpicRateLoss"]
