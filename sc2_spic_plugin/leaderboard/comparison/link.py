"""End-to-end latency over a link: measured compute and the time that the measured payload takes to cross."""

from ...errors import DataError
from ..results import CurvePoint

__all__ = ["LINK_RATES", "end_to_end_ms", "transfer_ms"]

LINK_RATES = (0.1, 1.0, 10.0)
"""Megabits per second of the links that tables show."""


def transfer_ms(payload_bytes: float, megabits_per_second: float) -> float:
    """Returns the milliseconds that a payload takes to cross; no round trip, no packet headers.

    Raises:
        DataError: a link without a rate.
    """
    if not megabits_per_second > 0:
        raise DataError(f"a link needs a rate above zero, got {megabits_per_second} Mbit/s.")
    return payload_bytes * 8 / (megabits_per_second * 1e3)


def end_to_end_ms(point: CurvePoint, megabits_per_second: float) -> float | None:
    """Returns encode + transfer + decode in milliseconds, or None where one of the three was not measured."""
    parts = [point.mean(column) for column in ("encode_ms", "payload_bytes", "decode_ms")]
    if any(part is None for part in parts):
        return None
    encode, payload, decode = (float(part or 0.0) for part in parts)
    return encode + transfer_ms(payload, megabits_per_second) + decode
