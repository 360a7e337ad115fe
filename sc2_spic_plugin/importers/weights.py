"""Released checkpoints: their keys, strictly mapped to those of our unit, and the training-only prior set apart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, nearest

__all__ = ["LAYERS", "PublishedWeights", "read_published_weights"]

LAYERS = {
    "conv2_2": "encoder.0",
    "bn2_1": "encoder.1",
    "conv2_3": "encoder.3",
    "bn3_1": "encoder.4",
    "conv2_4": "decoder.layers.0",
    "bn4_1": "decoder.layers.1",
    "conv2_5": "decoder.layers.3",
    "bn5_1": "decoder.layers.4",
}
"""The released name of each layer with weights, and ours in `BottleneckUnit(topology="separable")`."""

_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
KEYS = {
    f"{theirs}.{value}": f"{ours}.{value}"
    for theirs, ours in LAYERS.items()
    for value in (_NORM if theirs.startswith("bn") else ("weight",))
}
"""Released key -> ours, one to one."""

_TRANSPOSED = "conv2_4.weight"  # a transposed 1x1 convolution: (C_r, C, 1, 1)
_PRIOR = re.compile(
    r"(priorEncoder\.(conv[12]|bn[12])|priorDecoder\.(deconv[12]|bn[12]))\.(weight|bias|running_mean|running_var"
    r"|num_batches_tracked)|bitEstimator_z\.f[1-4]\.[hab]"
)


@dataclass(frozen=True)
class PublishedWeights:
    """What a released checkpoint holds.

    Attributes:
        path: where it was read from.
        unit: our key -> tensor: all that inference needs.
        prior: released key -> tensor of the networks that estimated the rate in training; never loaded into a unit.
    """

    path: Path
    unit: Mapping[str, Tensor]
    prior: Mapping[str, Tensor]

    @property
    def in_channels(self) -> int:
        """Channels C of the features."""
        return self.unit["encoder.0.weight"].shape[0]

    @property
    def latent_channels(self) -> int:
        """Channels C_r of the latent."""
        return self.unit["encoder.3.weight"].shape[0]

    @property
    def encoder_kernel(self) -> int:
        """Kernel size of the strided convolution."""
        return self.unit["encoder.0.weight"].shape[-1]

    @property
    def decoder_kernel(self) -> int:
        """Kernel size of the strided transposed convolution."""
        return self.unit["decoder.layers.3.weight"].shape[-1]

    @cached_property
    def parameters(self) -> int:
        """Trained numbers of the unit, the prior not among them."""
        return sum(value.numel() for key, value in self.unit.items() if key.endswith(("weight", "bias")))


def read_published_weights(path: str | Path) -> PublishedWeights:
    """Reads a released checkpoint; no code in it is run.

    Args:
        path: `{"state_dict": ...}` as released.

    Raises:
        CheckpointError: missing, damaged, holding anything but tensors, or with a key too many or too few.
    """
    path = Path(path)
    content = _read(path)
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} has no `state_dict`: it is no released SPIC unit")
    wrong = [str(key) for key, value in state.items() if not isinstance(key, str) or not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(f"{path}: `{wrong[0]}` is no tensor; take the released file")
    unknown = sorted(key for key in state if key not in KEYS and not _PRIOR.fullmatch(key))
    if unknown:
        raise CheckpointError(
            f"{path} holds {_listed(unknown)}, which no released unit has; it is another network's checkpoint. "
            f"{nearest(unknown[0], KEYS)}"
        )
    missing = [key for key in KEYS if key not in state]
    if missing:
        raise CheckpointError(f"{path} lacks {_listed(missing)}; take the released file, whole")
    unit = {KEYS[key]: _oriented(key, state[key]) for key in KEYS}
    weights = PublishedWeights(path, unit, {key: value for key, value in state.items() if key not in KEYS})
    _check_shapes(weights)
    return weights


def _read(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}: copy the released file there")
    if not path.stat().st_size:
        raise CheckpointError(f"{path} is empty: copy the released file again")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, even for a truncated file
        reason = str(error).strip().split("\n", 1)[0][:200]
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named:
            raise CheckpointError(
                f"{path} names `{named[1]}`, which is no tensor: it may run code when unpickled and is refused; "
                "take the released file"
            ) from error
        raise CheckpointError(f"{path} is no whole PyTorch file ({reason}): copy the released file again") from error


def _oriented(key: str, value: Tensor) -> Tensor:
    if key != _TRANSPOSED:
        return value
    if value.ndim != 4:
        raise CheckpointError(f"`{key}` has shape {tuple(value.shape)}, expected (C_r, C, 1, 1): no released unit")
    return value.transpose(0, 1).contiguous()


def _check_shapes(weights: PublishedWeights) -> None:
    """Refuses layers that do not fit each other, and values that are no finite floats."""
    for key, expected in _shapes(weights):
        value = weights.unit[key]
        if tuple(value.shape) != expected:
            released = next(name for name, ours in KEYS.items() if ours == key)
            raise CheckpointError(
                f"{weights.path}: `{released}` (our `{key}`) has shape {tuple(value.shape)}, its neighbours want "
                f"{expected}; it is no released unit"
            )
        if not key.endswith("num_batches_tracked") and not (value.is_floating_point() and value.isfinite().all()):
            raise CheckpointError(f"{weights.path}: `{key}` holds values that are not finite; copy the file again")


def _shapes(weights: PublishedWeights) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields our key and the shape that the other layers imply."""
    for key in ("encoder.0.weight", "encoder.3.weight", "decoder.layers.3.weight"):
        if weights.unit[key].ndim != 4:
            yield key, (-1, -1, -1, -1)
    channels, latent = weights.in_channels, weights.latent_channels
    inner, outer = weights.encoder_kernel, weights.decoder_kernel
    yield "encoder.0.weight", (channels, 1, inner, inner)
    yield "encoder.3.weight", (latent, channels, 1, 1)
    yield "decoder.layers.0.weight", (channels, latent, 1, 1)
    yield "decoder.layers.3.weight", (channels, 1, outer, outer)
    for layer in ("encoder.1", "encoder.4", "decoder.layers.1", "decoder.layers.4"):
        for value in _NORM:
            yield f"{layer}.{value}", () if value == _NORM[-1] else (latent if layer == "encoder.4" else channels,)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown
