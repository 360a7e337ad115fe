"""Digests of the network and the cut that trained tensors belong to: in every checkpoint, checked at every load."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError

__all__ = ["check_made_for", "digest_of_cut", "digest_tensor", "misfit"]


def digest_tensor(digest: str) -> Tensor:
    """Returns a digest in hex as the tensor (bytes, uint8) that checkpoints hold."""
    return torch.frombuffer(bytearray.fromhex(digest), dtype=torch.uint8)


def digest_of_cut(cut: str) -> Tensor:
    """Returns the SHA-256 of a cut's name as a tensor (32,) uint8."""
    return digest_tensor(hashlib.sha256(cut.encode()).hexdigest())


def check_made_for(state: Mapping[str, Any], own: Mapping[str, Tensor], what: str = "the checkpoint") -> None:
    """Refuses what was trained for another network or cut.

    Args:
        state: holds `network_digest` and `cut_digest` of what shall be loaded.
        own: holds those of the model.
        what: what shall be loaded, for the message.

    Raises:
        CheckpointError: a digest is missing or another one.
    """
    for key, part in (("network_digest", "network (other weights or layers)"), ("cut_digest", "cut")):
        if key not in state:
            raise CheckpointError(f"{what} has no `{key}`: it was not made by a SPIC model of this plugin.")
        if not torch.equal(state[key].cpu(), own[key].cpu()):
            raise CheckpointError(
                f"{what} was made for another {part}; use the `network` and `cut` it was trained with."
            )


def misfit(error: RuntimeError) -> CheckpointError:
    """Returns what to say where a checkpoint for this network and cut cannot be loaded, as torch's error tells."""
    return CheckpointError(
        f"the checkpoint does not fit this model's units or estimator; use the config it was trained with. {error}"
    )
