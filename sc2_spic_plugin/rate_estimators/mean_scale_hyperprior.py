"""A hyperprior that predicts the mean and the scale of each symbol."""

from typing import ClassVar

from .hyperprior import HyperpriorRateEstimator

__all__ = ["MeanScaleHyperpriorRateEstimator"]


class MeanScaleHyperpriorRateEstimator(HyperpriorRateEstimator):
    """Gaussian of predicted mean and scale.

    YAML: `rate_estimator: {key: 'mean_scale_hyperprior', kwargs: {hyper_channels: 16}}`
    """

    predicts_mean: ClassVar[bool] = True
