"""What a batch of payloads says, its unit, sizes and a code per image; its features; which sizes a receiver refuses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ..coding import SymbolCoder, unpack_payload
from ..errors import BitstreamError
from ..layers import BottleneckUnit

__all__ = [
    "TOO_LARGE",
    "ReceivedBatch",
    "are_too_large",
    "decode_features",
    "doubting_sizes",
    "read_payloads",
]

MAX_GROWTH = 16
"""How many times as long as at the default input size each size in a payload may be."""
MAX_AREA_GROWTH = 64
"""How many times as large as at the default input size the features of a payload may be."""

TOO_LARGE = f"more than {MAX_GROWTH} times as long or {MAX_AREA_GROWTH} times as large"


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


def are_too_large(sizes: Sequence[int], default_sizes: Sequence[int]) -> bool:
    """Says whether a receiver refuses these sizes, so that a damaged header cannot ask for all memory."""
    area, default_area = (max(height * width, 1) for height, width, *_ in (sizes, default_sizes))
    too_long = any(size > MAX_GROWTH * max(known, 1) for size, known in zip(sizes, default_sizes, strict=True))
    return too_long or area > MAX_AREA_GROWTH * default_area


def read_payloads(payloads: Sequence[bytes], names: Sequence[str], default_sizes: tuple[int, ...]) -> ReceivedBatch:
    """Reads and checks the headers of payloads; nothing is decoded or allocated.

    Args:
        payloads: one per image.
        names: the bank's units; a payload names one by its index in this order.
        default_sizes: the sizes that a header leaves out.

    Raises:
        BitstreamError: no payload, a header that no sender writes or that names no unit of this bank, payloads that
            differ in unit or size, or sizes far above the default ones.
    """
    unpacked = [unpack_payload(payload, default_sizes) for payload in payloads]
    if not unpacked:
        raise BitstreamError("there is no payload to decode; send one for each image.")
    first = unpacked[0]
    for payload in unpacked:
        if payload.unit_index >= len(names) or len(payload.sizes) != len(default_sizes):
            raise BitstreamError(
                f"the payload names unit {payload.unit_index} with {len(payload.sizes)} sizes, this model has "
                f"{len(names)} units and {len(default_sizes)} sizes; load the bank that the sender used."
            )
        if (payload.unit_index, payload.sizes) != (first.unit_index, first.sizes):
            raise BitstreamError("payloads of one batch must share unit and sizes; decode them one by one.")
    if are_too_large(first.sizes, default_sizes):
        raise BitstreamError(
            f"the payload says sizes {first.sizes}, far above this model's {default_sizes}: it is damaged; "
            "transmit it again."
        )
    return ReceivedBatch(names[first.unit_index], first.sizes, [payload.code for payload in unpacked])


def decode_features(received: ReceivedBatch, unit: BottleneckUnit, coder: SymbolCoder, device: torch.device) -> Tensor:
    """Returns the features (B, C, H, W) of the payloads of one batch.

    Args:
        received: what their headers say, and their codes.
        unit: that which made them.
        coder: the unit's.
        device: where the unit is.

    Raises:
        BitstreamError: a code that cannot be decoded.
    """
    size = (received.sizes[0], received.sizes[1])
    latent = (unit.latent_channels, *unit.latent_size(size))
    symbols = torch.stack([coder.decode(code, latent) for code in received.codes])
    return unit.decode(symbols.to(device), size)


@contextmanager
def doubting_sizes(received: ReceivedBatch, default_sizes: tuple[int, ...]) -> Iterator[None]:
    """Where unit or network fail on features of other sizes than the default, the payload that said them is to blame.

    Raises:
        BitstreamError: it failed.
    """
    try:
        yield
    except (RuntimeError, ValueError, AssertionError, MemoryError) as error:
        if received.sizes == default_sizes or isinstance(error, BitstreamError):
            raise
        raise BitstreamError(
            f"the payload says sizes {received.sizes}, which the network cannot take ({error}): it is damaged, or "
            "made by another network; transmit it again."
        ) from error
