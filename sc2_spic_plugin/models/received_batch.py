"""What a batch of payloads says: its unit, its sizes and a code per image."""

from collections.abc import Sequence
from typing import NamedTuple

from ..coding import unpack_payload
from ..errors import BitstreamError
from .crossing import CrossingPlan

__all__ = ["ReceivedBatch", "read_payloads"]


class ReceivedBatch(NamedTuple):
    """What the headers of a batch agree on, and the codes.

    Attributes:
        unit: name of the unit that made the codes.
        sizes: height and width of the features, then the other sizes that cross the cut.
        codes: entropy-coded symbols, one per image.
    """

    unit: str
    sizes: tuple[int, ...]
    codes: list[bytes]


def read_payloads(payloads: Sequence[bytes], names: Sequence[str], crossing: CrossingPlan) -> ReceivedBatch:
    """Reads and checks the headers of payloads; nothing is decoded or allocated.

    Args:
        payloads: one per image.
        names: the bank's units; a payload names one by its index in this order.
        crossing: the sizes that the model expects.

    Raises:
        BitstreamError: no payload, a header that no sender writes or that names no unit of this bank, payloads that
            differ in unit or size, or sizes far above the model's.
    """
    unpacked = [unpack_payload(payload, crossing.default_sizes) for payload in payloads]
    if not unpacked:
        raise BitstreamError("there is no payload to decode; send one for each image.")
    first = unpacked[0]
    for payload in unpacked:
        if payload.unit_index >= len(names) or len(payload.sizes) != len(crossing.default_sizes):
            raise BitstreamError(
                f"the payload names unit {payload.unit_index} with {len(payload.sizes)} sizes, this model has "
                f"{len(names)} units and {len(crossing.default_sizes)} sizes; load the bank that the sender used."
            )
        if (payload.unit_index, payload.sizes) != (first.unit_index, first.sizes):
            raise BitstreamError("payloads of one batch must share unit and sizes; decode them one by one.")
    if crossing.refuses(first.sizes):
        raise BitstreamError(
            f"the payload says sizes {first.sizes}, far above this model's {crossing.default_sizes}: it is damaged; "
            "transmit it again."
        )
    return ReceivedBatch(names[first.unit_index], first.sizes, [payload.code for payload in unpacked])
