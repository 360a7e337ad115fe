"""A frozen network cut at one tensor with units at the cut: the model that encodes and decodes."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from sc2bench.models.backbone import UpdatableBackbone
from torch import Tensor, nn

from ..coding import Payload, SymbolTables, pack_payload, unpack_payload
from ..errors import BitstreamError, CheckpointError, ConfigError, CutError, nearest
from ..layers import BottleneckUnit
from ..ops import tensors_digest
from .arguments import check_keys, checked_analysis, checked_unit, example_input, parameter_names
from .cut import cut_network
from .frozen import freeze_network

__all__ = ["EncodedBatch", "SplitModel"]

Size = tuple[int, int]

_MAX_GROWTH = 16
"""How many times as long as at `input_size` each size in a payload may be."""


class EncodedBatch(NamedTuple):
    """Payloads of a batch, one per image, and how many of their bytes are entropy-coded symbols."""

    payloads: list[bytes]
    code_bytes: list[int]
    latent_size: Size


class SplitModel(UpdatableBackbone):
    """Front-end, units and back-end behind sc2bench's updatable interface.

        image -> front_end -> unit.encode -> coder -> payload (bytes) -> coder -> unit.decode -> back_end -> output

    The network is frozen for good: its tensors are no parameters and are not part of the checkpoint, which holds
    `units.<name>`, `tables.<name>` and digests of the network and the cut.

    Args:
        network: the original network; it is taken over and frozen in place.
        cut: name of the module after which the network is split, e.g. `layer4.2`.
        units: keyword arguments of `BottleneckUnit` by unit name, without `in_channels`.
        input_size: (channels, height, width) of the images the payload header treats as the default.
        tables: keyword arguments of `SymbolTables`.
        analysis_config: sc2bench's: `analyzer_configs` and `analyzes_after_compress`.

    Raises:
        CutError: the network cannot be cut there.
        ConfigError: a unit that cannot be built.
    """

    def __init__(
        self,
        network: nn.Module,
        cut: str,
        units: Mapping[str, Mapping[str, Any]],
        input_size: Sequence[int] = (3, 224, 224),
        tables: Mapping[str, Any] | None = None,
        analysis_config: Mapping[str, Any] | None = None,
    ) -> None:
        analyzers, analyzes_after_compress = checked_analysis(analysis_config or {})
        super().__init__(analyzers)
        self.analyzes_after_compress = analyzes_after_compress
        if not units:
            raise ConfigError("a split model needs at least one unit; give `unit` in the config.")
        self.cut = cut
        example = example_input(input_size)
        digest = tensors_digest(network.state_dict())
        halves = cut_network(network, cut, example)
        if len(halves.feature_size) != 3:
            raise CutError(
                f"`{cut}` gives features of shape {tuple(halves.feature_size)}; a unit needs (C, H, W). "
                "Cut at a module that returns a feature map."
            )
        self.bypassed = halves.bypassed
        self.clones_features = halves.mutates_input
        self.front_end, self.back_end = halves.front_end, halves.back_end
        for half in (self.front_end, self.back_end):
            freeze_network(half)
            half.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
        self.network_digest: Tensor
        self.cut_digest: Tensor
        self.register_buffer("network_digest", _digest_tensor(bytes.fromhex(digest)))
        self.register_buffer("cut_digest", _digest_tensor(hashlib.sha256(cut.encode()).digest()))

        channels, height, width = halves.feature_size
        self.feature_size: Size = (height, width)
        features, crossing = self._split_front(example)
        self.default_sizes = (height, width, *crossing)
        activation = "relu" if bool((features >= 0).all()) else "identity"
        table_options = dict(tables or {})
        check_keys(table_options, parameter_names(SymbolTables, "channels", "latent_size"), "`tables`")
        self.units = nn.ModuleDict()
        self.tables = nn.ModuleDict()
        for name, kwargs in units.items():
            unit = BottleneckUnit(channels, **{"output_activation": activation, **checked_unit(name, kwargs)})
            self.units[name] = unit.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.tables[name] = SymbolTables(
                unit.latent_channels, latent_size=unit.latent_size(self.feature_size), **table_options
            )
        self.active = next(iter(self.units))

    @torch.no_grad()
    def _split_front(self, image: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Runs the front-end: features (B, C, H, W) and the sizes that cross with them."""
        result = self.front_end(image)
        if isinstance(result, tuple):
            return result[0], tuple(int(size) for size in result[1:])
        return result, ()

    def _is_too_large(self, sizes: Sequence[int]) -> bool:
        """Says whether a receiver refuses these sizes, so that a damaged header cannot ask for all memory."""
        return any(
            size > _MAX_GROWTH * max(default, 1) for size, default in zip(sizes, self.default_sizes, strict=True)
        )

    @property
    def unit(self) -> BottleneckUnit:
        """The active unit."""
        return self.units[self.active]  # type: ignore[return-value]

    @property
    def symbol_tables(self) -> SymbolTables:
        """The active unit's tables."""
        return self.tables[self.active]  # type: ignore[return-value]

    def select(self, name: str) -> None:
        """Makes another unit the active one; the network is not touched.

        Raises:
            ConfigError: no unit has that name.
        """
        if name not in self.units:
            raise ConfigError(f"no unit `{name}`. {nearest(name, list(self.units))}")
        self.active = name

    def update(self, **kwargs: Any) -> None:
        """Makes the coding tables ready; from then on eval-mode `forward` goes through real bytes.

        Raises:
            TableError: nothing was counted yet; train, or run `sc2-spic calibrate`.
        """
        for tables in self.tables.values():
            tables.update()  # type: ignore[operator]
        self.bottleneck_updated = True

    def get_aux_module(self, **kwargs: Any) -> nn.Module | None:
        """Returns None: nothing here needs an auxiliary loss."""
        return None

    @torch.no_grad()
    def encode_batch(self, image: Tensor) -> EncodedBatch:
        """Encodes images (B, 3, H, W) into one payload each, with the active unit.

        Raises:
            TableError: the tables are not ready; call `update()` first.
            ConfigError: images so much larger than `input_size` that no receiver would accept them.
        """
        features, sizes = self._split_front(image)
        symbols = self.unit.encode(features).cpu()
        coder = self.symbol_tables.coder
        codes = [coder.encode(symbols_of_image) for symbols_of_image in symbols]
        index = list(self.units).index(self.active)
        latent_size = (symbols.shape[-2], symbols.shape[-1])
        all_sizes = (features.shape[-2], features.shape[-1], *sizes)
        if self._is_too_large(all_sizes):
            raise ConfigError(
                f"images of {image.shape[-2]}x{image.shape[-1]} are more than {_MAX_GROWTH} times as long as "
                "`input_size`, which no receiver accepts; code them in parts or raise `input_size`."
            )
        payloads = [pack_payload(Payload(index, all_sizes, code), self.default_sizes) for code in codes]
        return EncodedBatch(payloads, [len(code) for code in codes], latent_size)

    def encode(self, image: Tensor) -> dict[str, Any]:
        """Returns the host's compressed object: `strings` (one list of payloads, bytes) and `shape` (h, w)."""
        encoded = self.encode_batch(image)
        return {"strings": [encoded.payloads], "shape": torch.Size(encoded.latent_size)}

    @torch.no_grad()
    def decode(self, strings: Sequence[Sequence[bytes]], shape: Sequence[int]) -> Any:
        """Returns the network's output from payloads; `shape` is the host's and says nothing the payload does not.

        Raises:
            BitstreamError: a payload that cannot be decoded, or payloads of one batch that differ in size.
        """
        unpacked = [unpack_payload(payload, self.default_sizes) for payload in strings[0]]
        if not unpacked:
            raise BitstreamError("there is no payload to decode; send one for each image.")
        names = list(self.units)
        first = unpacked[0]
        for payload in unpacked:
            if payload.unit_index >= len(names) or len(payload.sizes) != len(self.default_sizes):
                raise BitstreamError(
                    f"the payload names unit {payload.unit_index} with {len(payload.sizes)} sizes, this model has "
                    f"{len(names)} units and {len(self.default_sizes)} sizes; load the bank that the sender used."
                )
            if (payload.unit_index, payload.sizes) != (first.unit_index, first.sizes):
                raise BitstreamError("payloads of one batch must share unit and sizes; decode them one by one.")
        name = names[first.unit_index]
        unit: BottleneckUnit = self.units[name]  # type: ignore[assignment]
        size, crossing = first.sizes[:2], first.sizes[2:]
        if self._is_too_large(first.sizes):
            raise BitstreamError(
                f"the payload says sizes {first.sizes}, far above this model's {self.default_sizes}: it is damaged; "
                "transmit it again."
            )
        latent = (unit.latent_channels, *unit.latent_size(size))  # type: ignore[arg-type]
        tables: SymbolTables = self.tables[name]  # type: ignore[assignment]
        coder = tables.coder
        symbols = torch.stack([coder.decode(payload.code, latent) for payload in unpacked])
        features = unit.decode(symbols.to(self.network_digest.device), size)  # type: ignore[arg-type]
        try:
            return self.back_end(features, *crossing)
        except (RuntimeError, ValueError) as error:
            if first.sizes == self.default_sizes:
                raise
            raise BitstreamError(
                f"the payload says sizes {first.sizes}, which the network cannot take ({error}): it is damaged, or "
                "made by another network; transmit it again."
            ) from error

    def forward(self, image: Tensor) -> Any:
        """Returns the network's output; after `update()` it comes from decoded bytes, before from rounded latents."""
        if not self.bottleneck_updated:
            features, sizes = self._split_front(image)
            size = (features.shape[-2], features.shape[-1])
            return self.back_end(self.unit.decode(self.unit.encode(features), size), *sizes)
        encoded = self.encode_batch(image)
        strings, shape = [encoded.payloads], torch.Size(encoded.latent_size)
        compressed = {"strings": strings, "shape": shape}
        if self.analyzes_after_compress and self.activated_analysis:
            self.analyze(compressed, code_bytes=encoded.code_bytes, image_size=(image.shape[-2], image.shape[-1]))
        return self.decode(strings, shape)

    def analyze(
        self, compressed_obj: Any, code_bytes: Sequence[int] | None = None, image_size: Size | None = None
    ) -> None:
        """Hands the compressed object to every analyzer, with what the host's interface has no room for."""
        if not self.activated_analysis:
            return
        for analyzer in self.analyzers:
            if hasattr(analyzer, "record"):
                analyzer.record(compressed_obj, code_bytes=code_bytes, image_size=image_size)
            else:
                analyzer.analyze(compressed_obj)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads units, tables and training parts; always strict.

        Raises:
            CheckpointError: made for another network, another cut or other units.
        """
        for key, what in (("network_digest", "network (other weights or layers)"), ("cut_digest", "cut")):
            if key not in state_dict:
                raise CheckpointError(f"the checkpoint has no `{key}`: it was not made by a SPIC model of this plugin.")
            if not torch.equal(state_dict[key].cpu(), getattr(self, key).cpu()):
                raise CheckpointError(
                    f"the checkpoint was made for another {what}; use the `network` and `cut` it was trained with."
                )
        try:
            result = super().load_state_dict(state_dict, strict=True, assign=assign)
        except RuntimeError as error:
            raise CheckpointError(
                "the checkpoint does not fit this model's units or estimator; use the config it was trained with. "
                f"{error}"
            ) from error
        return result


def _digest_tensor(digest: bytes) -> Tensor:
    return torch.frombuffer(bytearray(digest), dtype=torch.uint8)
