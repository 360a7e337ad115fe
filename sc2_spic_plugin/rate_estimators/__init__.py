"""Rate estimators, used in training only: how many bits a latent (y / Q) would cost."""

from .base import RateEstimate, RateEstimator, has_aux_loss
from .build import RATE_ESTIMATORS, build_rate_estimator
from .factorized import FactorizedRateEstimator
from .hyperprior import HyperpriorRateEstimator
from .l1 import L1RateEstimator
from .mean_scale_hyperprior import MeanScaleHyperpriorRateEstimator
from .mode_table import ModeTableRateEstimator
from .scale_hyperprior import ScaleHyperpriorRateEstimator
from .static_table import StaticTableRateEstimator

__all__ = [
    "RATE_ESTIMATORS",
    "FactorizedRateEstimator",
    "HyperpriorRateEstimator",
    "L1RateEstimator",
    "MeanScaleHyperpriorRateEstimator",
    "ModeTableRateEstimator",
    "RateEstimate",
    "RateEstimator",
    "ScaleHyperpriorRateEstimator",
    "StaticTableRateEstimator",
    "build_rate_estimator",
    "has_aux_loss",
]
