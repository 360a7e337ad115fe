"""The columns of a point that say what it costs beside its bits: added, or taken away."""

import dataclasses
from typing import Any

from ...leaderboard import Point
from ...leaderboard.costs import Costs, Latency

__all__ = ["COST_FIELDS", "with_costs", "without_costs"]

COST_FIELDS = ("encoder_kilobytes", "encoder_macs", "encode_ms", "decode_ms")
"""Fields of `Point`; all other columns are extra ones."""
_EXTRA = {item.name for item in (*dataclasses.fields(Costs), *dataclasses.fields(Latency))}


def with_costs(point: Point, costs: Costs, **marks: str) -> Point:
    """Returns a point with these costs in place of those that it has.

    Args:
        point: as measured.
        costs: of its model.
        **marks: further columns about the timing.
    """
    return dataclasses.replace(point, **costs.point_fields(), extra={**point.extra, **costs.extra(), **marks})


def without_costs(point: Point) -> Point:
    """Returns a point with rate and accuracy alone."""
    kept = {name: value for name, value in point.extra.items() if name not in _EXTRA and not name.startswith("timing_")}
    nothing: dict[str, Any] = dict.fromkeys(COST_FIELDS)
    return dataclasses.replace(point, **nothing, extra=kept)
