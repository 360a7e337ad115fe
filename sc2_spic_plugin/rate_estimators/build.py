"""Builds a rate estimator by its kind; a new kind is one file and one line here."""

import inspect

from ..errors import ConfigError, nearest
from .base import RateEstimator
from .factorized import FactorizedRateEstimator
from .l1 import L1RateEstimator
from .mean_scale_hyperprior import MeanScaleHyperpriorRateEstimator
from .mode_table import ModeTableRateEstimator
from .scale_hyperprior import ScaleHyperpriorRateEstimator
from .static_table import StaticTableRateEstimator

__all__ = ["RATE_ESTIMATORS", "build_rate_estimator"]

RATE_ESTIMATORS: dict[str, type[RateEstimator]] = {
    "l1": L1RateEstimator,
    "factorized": FactorizedRateEstimator,
    "scale_hyperprior": ScaleHyperpriorRateEstimator,
    "mean_scale_hyperprior": MeanScaleHyperpriorRateEstimator,
    "mode_table": ModeTableRateEstimator,
    "static_table": StaticTableRateEstimator,
}
"""Every kind by its name in configs."""


def build_rate_estimator(kind: str, channels: int, **kwargs: object) -> RateEstimator:
    """Builds an estimator.

    Args:
        kind: a key of `RATE_ESTIMATORS`.
        channels: C of the latents it will see.
        kwargs: further arguments of that kind; all take `latent_size` and `seed`.

    Raises:
        ConfigError: the kind is unknown or does not take one of the arguments.
    """
    if kind not in RATE_ESTIMATORS:
        raise ConfigError(f"Unknown rate estimator `{kind}`. {nearest(kind, RATE_ESTIMATORS)}")
    accepted = [name for name in inspect.signature(RATE_ESTIMATORS[kind]).parameters if name != "channels"]
    unknown = sorted(set(kwargs) - set(accepted))
    if unknown:
        raise ConfigError(
            f"The rate estimator `{kind}` does not take {', '.join(f'`{name}`' for name in unknown)}; "
            f"it takes `channels`, {', '.join(f'`{name}`' for name in accepted)}."
        )
    return RATE_ESTIMATORS[kind](channels, **kwargs)  # type: ignore[arg-type]
