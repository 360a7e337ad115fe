"""A trained hyperprior as the coder that is deployed, instead of static tables."""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..coding import StaticCoder
from ..coding.hyperprior_coder import HYPER_ALPHABET, HYPER_OFFSET, HyperpriorCoder
from ..coding.integer_synthesis import IntegerSynthesis
from ..coding.tables import integer_frequencies
from ..rate_estimators import HyperpriorRateEstimator

__all__ = ["hyperprior_coder"]

_MASS_UNITS = float(1 << 40)


@torch.no_grad()
def hyperprior_coder(estimator: HyperpriorRateEstimator) -> HyperpriorCoder:
    """Returns a coder that conditions on what a trained estimator conditions on; the estimator stays as it is.

    The hyper-latent's tables are its learned density at whole numbers, one table a channel, evaluated in float64: what
    machines then differ by is far below a table's 24 bits. The synthesis is rounded to multiples of 2**-12.

    Raises:
        TableError: weights that are not finite or too large.
    """
    analysis = _on_cpu(estimator.analysis)
    synthesis = _on_cpu(estimator.synthesis)
    layers = [synthesis.first, synthesis.second, synthesis.last]
    offsets = [synthesis.first.bias, synthesis.second.bias, synthesis.offset_gain * synthesis.offset.flatten()]
    integers = IntegerSynthesis(
        [layer.weight.numpy().astype(np.float64) for layer in layers],
        [offset.numpy().astype(np.float64) for offset in offsets],
        estimator.channels,
    )
    size = sum(parameter.numel() * parameter.element_size() for parameter in analysis.parameters())
    return HyperpriorCoder(analysis, integers, _side_coder(estimator), size)


def _on_cpu(network: nn.Module) -> Any:
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


def _side_coder(estimator: HyperpriorRateEstimator) -> StaticCoder:
    """Returns the coder of the hyper-latent, plus its offset, under its learned density."""
    density = _on_cpu(estimator.hyper_density).double()
    channels = density.channels
    values = torch.arange(HYPER_ALPHABET, dtype=torch.float64) - HYPER_OFFSET
    likelihood: Tensor = density._likelihood(values.expand(channels, 1, -1))[0][:, 0]
    mass = np.rint(likelihood.numpy() * _MASS_UNITS)
    beyond = np.maximum(_MASS_UNITS - mass.sum(axis=1, keepdims=True), 0)
    frequencies = integer_frequencies(np.concatenate([mass, beyond], axis=1).astype(np.int64))
    return StaticCoder(frequencies, np.arange(channels))
