"""A hyperprior that predicts the scale of each symbol; the mean is 0."""

from typing import ClassVar

from .hyperprior import HyperpriorRateEstimator

__all__ = ["ScaleHyperpriorRateEstimator"]


class ScaleHyperpriorRateEstimator(HyperpriorRateEstimator):
    """Zero-mean Gaussian of predicted scale; suits one-sided latents with an atom at 0.

    YAML: `rate_estimator: {key: 'scale_hyperprior', kwargs: {hyper_channels: 16}}`
    """

    predicts_mean: ClassVar[bool] = False
