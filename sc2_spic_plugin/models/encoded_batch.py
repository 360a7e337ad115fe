"""What a batch of images becomes: payloads, and what is known about them."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

__all__ = ["EncodedBatch"]


class EncodedBatch(NamedTuple):
    """What a batch became.

    Attributes:
        payloads: one per image.
        code_bytes: how many bytes of each are entropy-coded symbols.
        latent_size: height and width of the symbols.
        bypass: tensors (B, ...) that cross beside the payloads, uncounted; empty at a true cut.
        columns: per image what a published table would have cost; None without one.
    """

    payloads: list[bytes]
    code_bytes: list[int]
    latent_size: tuple[int, int]
    bypass: tuple[Tensor, ...] = ()
    columns: list[Mapping[str, int | None]] | None = None
