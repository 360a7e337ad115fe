"""What an operating point costs beside its bits: size of the encoder, operations and latency of device and server."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sc2bench.models.backbone import UpdatableBackbone
from sc2bench.models.segmentation.base import UpdatableSegmentationModel
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...errors import DataError
from ..protocol import Protocol
from ..results import Value
from .encoder_size import stored_kilobytes
from .latency import Latency, measure_latency
from .sides import Sides, sides_of
from .spending import DEVICE, SERVER, spending

__all__ = ["Costs", "measure_costs"]


@dataclass(frozen=True)
class Costs:
    """What a model costs.

    Attributes:
        encoder_kilobytes: network tensors that the device stores, by sc2bench's rules; 0 for image codecs.
        frozen_kilobytes: of these, the original network's own: what a device that has the network already need not get.
        coder_kilobytes: tables of the device's entropy coder, as they lie in memory.
        encoder_macs: multiply-accumulates of networks on the device, per image.
        server_macs: the same on the server.
        latency: measured here; None if it was not asked for.
    """

    encoder_kilobytes: float
    frozen_kilobytes: float
    coder_kilobytes: float
    encoder_macs: int
    server_macs: int
    latency: Latency | None = None

    def point_fields(self) -> dict[str, Any]:
        """Returns the fields of `Point` of the same meaning."""
        fields: dict[str, Any] = {"encoder_kilobytes": self.encoder_kilobytes, "encoder_macs": self.encoder_macs}
        if self.latency is not None:
            fields |= {"encode_ms": self.latency.encode_ms, "decode_ms": self.latency.decode_ms}
        return fields

    def extra(self) -> dict[str, Value]:
        """Returns all the rest, for `Point.extra`; what says how latency was measured begins with `timing_`."""
        columns: dict[str, Value] = {
            "frozen_kilobytes": self.frozen_kilobytes,
            "coder_kilobytes": self.coder_kilobytes,
            "server_macs": self.server_macs,
        }
        if self.latency is None:
            return columns
        times = dataclasses.asdict(self.latency)
        columns |= {name: value for name, value in times.items() if name.endswith(("_network_ms", "_coding_ms"))}
        return columns | {f"timing_{name}": times[name] for name in ("batch_size", "repeats", "device", "threads")}


def measure_costs(
    model: nn.Module,
    images: Tensor | Sequence[Any],
    protocol: Protocol,
    on_device: bool = False,
    is_timed: bool = True,
) -> Costs:
    """Measures what a model costs on the way from prepared image to output, through real bytes.

    Operations are counted while an image passes: those of convolutions, matrix products and attention, of the
    networks and of the probability models of neural codecs. Not counted are additions, biases, normalisations,
    activations, pooling, quantisation, the entropy coders themselves and image codecs, which have no network.

    Args:
        model: as `evaluate` takes it, on the device where it shall run; a model that can code is made ready to.
        images: prepared as the protocol says: tensors (3, H, W), or PIL images for models that take those. Time depends
            on the image: give some twenty, they are used in turn. Operations are those of the first.
        protocol: its `timing` and `threads`.
        on_device: a network that sends nothing runs on the device as a whole (`sides_of`).
        is_timed: measure latency too.

    Raises:
        DataError: fewer images than `protocol.timing.batch_size`.
        ConfigError: a model of the hosts whose sides are not known.
        TableError: a SPIC model whose tables were never counted.
    """
    model.eval()
    updatable = isinstance(model, UpdatableBackbone | UpdatableSegmentationModel)
    if updatable and not getattr(model, "bottleneck_updated", True):
        model.update()  # type: ignore[operator]
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    batches = _batches(images, protocol.timing.batch_size, device)
    sides = sides_of(model, on_device)
    encoder_macs, server_macs = _count_macs(model, sides, batches[0], protocol.timing.batch_size)
    return Costs(
        stored_kilobytes(model, sides.encoder),
        stored_kilobytes(model, sides.frozen),
        stored_kilobytes(model, sides.coder),
        encoder_macs,
        server_macs,
        measure_latency(model, sides, batches, protocol.timing, device, protocol.threads) if is_timed else None,
    )


def _batches(images: Tensor | Sequence[Any], size: int, device: torch.device) -> list[Any]:
    """Returns batches of `size` images on the device; what is left over is dropped."""
    if len(images) < size:
        raise DataError(f"{len(images)} images for batches of {size}: give more, or lower `timing.batch_size`.")
    chunks = [images[start : start + size] for start in range(0, len(images) - size + 1, size)]
    if not isinstance(images[0], Tensor):
        return chunks
    return [(chunk if isinstance(chunk, Tensor) else torch.stack(list(chunk))).to(device) for chunk in chunks]


@torch.no_grad()
def _count_macs(model: nn.Module, sides: Sides, batch: Any, size: int) -> tuple[int, int]:
    """Returns the multiply-accumulates per image on the device and on the server."""
    with (
        FlopCounterMode(display=False) as counter,
        spending(sides.switches, sides.begins, counter.get_total_flops) as pass_,
    ):
        model(batch)

    def macs(side: str) -> int:
        return int(sum(flops for place, flops in pass_.spent.items() if place[0] == side)) // (2 * size)

    return macs(DEVICE), macs(SERVER)
