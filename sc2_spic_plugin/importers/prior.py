"""Whether the rate estimator that came with a released unit was ever trained."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import CheckpointError

__all__ = ["prior_is_untrained"]

_NORMS = (".bn1.", ".bn2.")


def prior_is_untrained(prior: Mapping[str, Tensor]) -> bool:
    """Tells whether the prior networks hold nothing but initial values, but for one common factor (weight decay).

    Training moves batch-norm scales apart, shifts away from 0 and biases apart. Initial scales are one constant,
    shifts 0 and convolution biases one constant; weight decay alone keeps them so.

    Args:
        prior: `PublishedWeights.prior`.

    Raises:
        CheckpointError: there is no batch norm or bias to judge by.
    """
    scales: list[Tensor] = []
    shifts: list[Tensor] = []
    biases: list[Tensor] = []
    for key, value in prior.items():
        is_norm = any(norm in key for norm in _NORMS)
        if is_norm and key.endswith(".weight"):
            scales.append(value.flatten())
        elif key.endswith(".bias"):
            (shifts if is_norm else biases).append(value.flatten())
    if not (scales and shifts and biases):
        raise CheckpointError("the checkpoint has no prior networks to judge; only released units have them")
    return _constant(scales) and _constant(biases) and not bool(torch.cat(shifts).any())


def _constant(values: list[Tensor]) -> bool:
    joined = torch.cat(values)
    return bool((joined == joined[0]).all())
