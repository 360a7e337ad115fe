"""SC2's three-way trade-off: encoder size, rate and accuracy together."""

from collections.abc import Sequence

from ..results import CurvePoint

__all__ = ["encoder_times_rate", "three_way_front"]


def encoder_times_rate(point: CurvePoint) -> float | None:
    """Returns encoder size x data size in KB x KB per image (the ExR of SC2), or None where one is not known."""
    encoder, payload = point.mean("encoder_kilobytes"), point.mean("payload_bytes")
    return None if encoder is None or payload is None else encoder * payload / 1024


def three_way_front(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Returns the points that no other beats in encoder size, rate and accuracy at once.

    Another point beats one if it is at least as good in all three and better in one. Points whose encoder size or rate
    is not known take no part.
    """
    known = [(point, _costs(point)) for point in points]
    placed = [(point, costs) for point, costs in known if costs is not None]
    return [
        point
        for point, mine in placed
        if not any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for _, other in placed)
    ]


def _costs(point: CurvePoint) -> tuple[float, float, float] | None:
    encoder, rate = point.mean("encoder_kilobytes"), point.bpp
    return None if encoder is None or rate is None else (encoder, rate, -point.accuracy)
