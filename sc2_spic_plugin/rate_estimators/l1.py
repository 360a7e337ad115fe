"""The l1 norm of the latent, the rate term of SPIC's predecessor: a penalty, not bits."""

from typing import ClassVar

from torch import Tensor

from .base import RateEstimate, RateEstimator

__all__ = ["L1RateEstimator"]


class L1RateEstimator(RateEstimator):
    """Sums |y / Q| over each image (Datta et al., ICPR 2022); no parameters, no noise, the same in both modes.

    YAML: `rate_estimator: {key: 'l1'}`
    """

    measures_bits: ClassVar[bool] = False

    def estimate(self, latent: Tensor) -> RateEstimate:
        """Returns the l1 norm of each image under the name `bits`, which it is not (`measures_bits` says so)."""
        norm = latent.abs().flatten(1).sum(1)
        return RateEstimate(bits=norm, side_bits=norm.new_zeros(norm.shape))
