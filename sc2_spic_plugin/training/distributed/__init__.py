"""Training in several processes: what makes them give the result of one process on the same global batches."""

from .gradients import sum_gradients
from .loaders import own_batches, share_of_batch
from .loss_share import sums_as_means, weighted_by_share
from .stage import draw_apart, enter_stage

__all__ = [
    "draw_apart",
    "enter_stage",
    "own_batches",
    "share_of_batch",
    "sum_gradients",
    "sums_as_means",
    "weighted_by_share",
]
