"""The original network as a split model holds it: cut in two with proof, frozen, and what its units must know of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import CutError
from ..ops import tensors_digest
from .arguments import example_input
from .crossing import CrossingPlan, run_front_end
from .cut import cut_network
from .frozen import freeze_network, frozen_state
from .halves import Half

__all__ = ["FrozenHalves", "frozen_halves"]


@dataclass(frozen=True, eq=False)
class FrozenHalves:
    """A frozen network cut in two at a feature map.

    Attributes:
        front_end: images (B, C, H, W) -> the features, or (features, *crossing) where something crosses.
        back_end: (features, *crossing) -> the network's output.
        digest: of the network's tensors, in hex.
        channels: of the features.
        activation: what a unit's decoder ends with: `relu` if no feature is negative, else `identity`.
        crossing: what crosses beside the features.
        bypassed: whether tensors cross.
        mutates_input: whether the back-end overwrites the features that it is given.
    """

    front_end: Half
    back_end: Half
    digest: str
    channels: int
    activation: str
    crossing: CrossingPlan
    bypassed: bool
    mutates_input: bool


def frozen_halves(
    network: nn.Module,
    cut: str,
    input_size: Sequence[int],
    proof_size: Sequence[int] | None = None,
    allow_bypass: bool = False,
    outputs: Sequence[str] | None = None,
) -> FrozenHalves:
    """Cuts a network and freezes its halves in place; the arguments are those of `SplitModel`.

    Raises:
        CutError: the network cannot be cut there, or not at a feature map.
        ConfigError: a size that is not (channels, height, width).
    """
    digest = tensors_digest(frozen_state(network))
    example = example_input(input_size if proof_size is None else proof_size)
    halves = cut_network(network, cut, example, allow_bypass, outputs)
    if len(halves.feature_size) != 3:
        raise CutError(
            f"`{cut}` gives features of shape {tuple(halves.feature_size)}; a unit needs (C, H, W). "
            "Cut at a module that returns a feature map."
        )
    for half in (halves.front_end, halves.back_end):
        freeze_network(half)
        half.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    features, crossing = run_front_end(halves.front_end, example)
    return FrozenHalves(
        halves.front_end,
        halves.back_end,
        digest,
        features.shape[1],
        "relu" if bool((features >= 0).all()) else "identity",
        CrossingPlan(halves.front_end, crossing, input_size),
        halves.bypassed,
        halves.mutates_input,
    )
