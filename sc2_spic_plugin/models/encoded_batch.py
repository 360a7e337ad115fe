"""What a batch of images becomes: payloads, and what is known about them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..coding import Payload, PublishedTable, SymbolCoder, pack_payload
from ..errors import BitstreamError
from .crossing import Crossing

__all__ = ["EncodedBatch", "check_bypass", "encode_symbols"]


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

    @property
    def compressed(self) -> dict[str, Any]:
        """The host's compressed object: `strings` (one list of payloads, bytes) and `shape` (h, w)."""
        return {"strings": [self.payloads], "shape": torch.Size(self.latent_size)}

    @property
    def details(self) -> dict[str, Any]:
        """What that object has no room for: further arguments of `SpicSizeAnalyzer.record`."""
        details: dict[str, Any] = {"code_bytes": self.code_bytes}
        return details if self.columns is None else {**details, "columns": self.columns}


def encode_symbols(
    symbols: Tensor,
    coder: SymbolCoder,
    header: Payload,
    default_sizes: tuple[int, ...],
    crossing: Crossing = (),
    published: PublishedTable | None = None,
) -> EncodedBatch:
    """Codes a unit's symbols into one payload for each image.

    Args:
        symbols: (B, C_r, h, w) integers, on the CPU.
        coder: the unit's.
        header: a payload without a code: the unit's index, and the sizes of these images.
        default_sizes: the sizes that a receiver assumes.
        crossing: what crosses beside the features; its tensors are not coded.
        published: a released table whose code lengths are recorded beside ours.

    Raises:
        ConfigError: sizes that no payload can carry.
    """
    codes = [coder.encode(of_image) for of_image in symbols]
    return EncodedBatch(
        [pack_payload(header._replace(code=code), default_sizes) for code in codes],
        [len(code) for code in codes],
        (symbols.shape[-2], symbols.shape[-1]),
        tuple(item for item in crossing if isinstance(item, Tensor)),
        None if published is None else [published.lengths(of_image) for of_image in symbols],
    )


def check_bypass(bypass: Sequence[Tensor], count: int, cut: str) -> None:
    """Refuses payloads without the tensors that crossed beside them, or with some where none cross.

    Raises:
        BitstreamError: not `count` tensors.
    """
    if len(bypass) != count:
        raise BitstreamError(
            f"{count} tensors cross beside the payload of the bypassed cut `{cut}`, {len(bypass)} were given: "
            "pass on `bypass` of `encode`, or use a true cut."
        )
