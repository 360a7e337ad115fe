"""Intervals over images of what a comparison says: both sides are measured again on the same redrawn images."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..statistics import Interval, bpp_at_accuracy
from .bjontegaard_delta import rate_difference
from .redrawn import Redrawn

__all__ = ["DeltaInterval", "RateInterval", "delta_interval", "rate_interval"]

LEVEL = (0.025, 0.975)
LEAST_DEFINED = 0.95
"""Share of the draws in which a difference must be defined."""


class DeltaInterval(NamedTuple):
    """The 95 % interval in percent, or why there is none."""

    interval: Interval | None
    reason: str | None


class RateInterval(NamedTuple):
    """The 95 % interval of a rate in bits per image pixel; None: the accuracy is never reached."""

    low: float | None
    high: float | None


def delta_interval(curve: Redrawn | str, anchor: Redrawn | str) -> DeltaInterval:
    """Returns the percentile interval of the Bjøntegaard rate difference over redrawn images.

    What makes an image hard for both cancels. Fronts are taken anew in every draw.

    Args:
        curve: the curve, or why it cannot be redrawn.
        anchor: what it is compared with, likewise.
    """
    for each in (curve, anchor):
        if isinstance(each, str):
            return DeltaInterval(None, each)
    assert isinstance(curve, Redrawn) and isinstance(anchor, Redrawn)
    if not curve.is_paired_with(anchor):
        return DeltaInterval(None, "the two curves were measured on different images or image sizes")
    draws = [rate_difference(mine, theirs) for mine, theirs in zip(curve.splines, anchor.splines, strict=True)]
    defined = [draw for draw in draws if draw is not None]
    if len(defined) < LEAST_DEFINED * len(draws):
        return DeltaInterval(None, f"undefined on {len(draws) - len(defined)} of {len(draws)} redrawn sets of images")
    low, high = np.quantile(defined, LEVEL)
    return DeltaInterval(Interval(float(low), float(high)), None)


def rate_interval(curve: Redrawn | str, original: NDArray[np.float64] | None, drop: float) -> RateInterval | None:
    """Returns the percentile interval of the rate at which a curve reaches the original's accuracy minus a drop.

    Args:
        curve: the curve, or why it cannot be redrawn.
        original: (R,), the original network's accuracy in the same draws.
        drop: percentage points.

    Returns:
        None where one of the two cannot be redrawn.
    """
    if isinstance(curve, str) or original is None:
        return None
    rates = [bpp_at_accuracy(front, float(top) - drop) for front, top in zip(curve.fronts, original, strict=True)]
    ends = np.quantile([math.inf if rate is None else rate for rate in rates], LEVEL, method="inverted_cdf")
    low, high = (float(end) if math.isfinite(end) else None for end in ends)
    return RateInterval(low, high)
