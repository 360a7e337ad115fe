"""A frozen network cut at one tensor with units at the cut: the model that encodes and decodes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sc2bench.models.backbone import UpdatableBackbone
from sc2bench.models.segmentation.base import UpdatableSegmentationModel
from torch import Tensor, nn

from ..coding import Payload, PublishedTable, SymbolCoder, SymbolTables
from ..errors import ConfigError
from ..layers import BottleneckUnit
from ..runtime.received_batch import decode_features, doubting_sizes, read_payloads
from .arguments import check_new_unit, checked_analysis, checked_tables, checked_unit, checked_unit_name
from .crossing import Crossing, run_front_end
from .encoded_batch import EncodedBatch, check_bypass, encode_symbols
from .frozen_halves import frozen_halves
from .made_for import check_made_for, digest_of_cut, digest_tensor, misfit
from .own_draws import draw_base, own_draws

__all__ = ["SplitModel"]


class SplitModel(UpdatableBackbone, UpdatableSegmentationModel):
    """Front-end, units and back-end behind sc2bench's updatable interface, for classification and segmentation alike.

        image -> front_end -> unit.encode -> coder -> payload (bytes) -> coder -> unit.decode -> back_end -> output

    The network is frozen for good: its tensors are no parameters and are not part of the checkpoint, which holds
    `units.<name>`, `tables.<name>` and digests of the network and the cut. Sizes of the image that the back-end needs
    travel in the payload's header, beside the index of the unit (`unit_indices`) that made it. In eval mode, with
    tables made, any number of threads may encode and decode at once, each at its own rate: `encode(image, unit=...)`.

    Args:
        network: the original network; it is taken over and frozen in place.
        cut: name of the module after which the network is split, e.g. `layer4.2`.
        units: keyword arguments of `BottleneckUnit` by unit name, without `in_channels`.
        input_size: (channels, height, width) of the images the payload header treats as the default.
        tables: keyword arguments of `SymbolTables`.
        outputs: the entries of the network's output that are wanted, if it returns a dict; None: all.
        proof_size: (channels, height, width) of the images that the cut is proved on; by default `input_size`.
        allow_bypass: accept a cut that tensors cross beside the features. They are not coded and not counted;
            `bypassed` says so, and every result does.
        published_table: file of a released frequency table, whose code lengths are recorded beside ours.
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
        outputs: Sequence[str] | None = None,
        proof_size: Sequence[int] | None = None,
        allow_bypass: bool = False,
        published_table: str | Path | None = None,
        analysis_config: Mapping[str, Any] | None = None,
    ) -> None:
        analyzers, analyzes_after_compress = checked_analysis(analysis_config or {})
        super().__init__(analyzers)
        self.analyzes_after_compress = analyzes_after_compress
        if not units:
            raise ConfigError("a split model needs at least one unit; give `unit` in the config.")
        self.cut, self.input_size = cut, tuple(input_size)
        self.published = None if published_table is None else PublishedTable.load(Path(published_table))
        halves = frozen_halves(network, cut, input_size, proof_size, allow_bypass, outputs)
        self.front_end, self.back_end = halves.front_end, halves.back_end
        self.bypassed, self.clones_features = halves.bypassed, halves.mutates_input
        self.crossing = halves.crossing
        self.feature_size, self.default_sizes = self.crossing.feature_size, self.crossing.default_sizes
        self.network_digest: Tensor
        self.cut_digest: Tensor
        self.register_buffer("network_digest", digest_tensor(halves.digest))
        self.register_buffer("cut_digest", digest_of_cut(cut))

        table_options = checked_tables(tables)
        self.units, self.tables = nn.ModuleDict(), nn.ModuleDict()
        self.unit_arguments: dict[str, dict[str, Any]] = {}
        self.draw_base = draw_base()
        for name, kwargs in units.items():
            arguments = {"output_activation": halves.activation, **checked_unit(name, kwargs)}
            with own_draws(self.draw_base, name):
                unit = BottleneckUnit(halves.channels, **arguments)
            latent_size = unit.latent_size(self.feature_size)
            self.add_unit(name, unit, SymbolTables(unit.latent_channels, latent_size, **table_options), arguments)
        self.active = next(iter(self.units))

    def add_unit(self, name: str, unit: BottleneckUnit, tables: SymbolTables, arguments: Mapping[str, Any]) -> None:
        """Puts a unit at the end of the bank; the payloads and indices of all others stay as they are.

        Args:
            name: its name, which no other unit has.
            unit: it is taken over.
            tables: the unit's tables, taken over too.
            arguments: keyword arguments that `unit` was made with.

        Raises:
            ConfigError: a name that is taken or cannot be used, or a full bank.
            TableError: the unit's step is not that of the model's published table.
        """
        check_new_unit(name, self.units)
        if self.published is not None:
            self.published.check_step(unit.step)
        self.unit_arguments[name] = dict(arguments)
        self.tables[name] = tables  # ahead of the unit: who finds a unit finds its tables
        self.units[name] = unit.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _split_front(self, image: Tensor) -> tuple[Tensor, Crossing]:
        """Runs the front-end: features (B, C, H, W) and what crosses with them."""
        return run_front_end(self.front_end, image)

    def _image_size(self, image: Tensor) -> tuple[int, int]:
        """Returns the images' height and width."""
        return image.shape[-2], image.shape[-1]

    @property
    def unit(self) -> BottleneckUnit:
        """The active unit."""
        return self.units[self.active]  # type: ignore[return-value]

    @property
    def symbol_tables(self) -> SymbolTables:
        """The active unit's tables."""
        return self.tables[self.active]  # type: ignore[return-value]

    def coder_of(self, name: str) -> SymbolCoder:
        """Returns what codes a unit's symbols.

        Raises:
            TableError: there is none yet; call `update()` first.
        """
        return self.tables[name].coder  # type: ignore[return-value]

    @property
    def is_coded_by_tables(self) -> bool:
        """Whether units' tables code their symbols, so that a unit's files hold all that it is coded with."""
        return True

    def device_parts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns what the names of tensors begin with that a device holds for the active unit.

        Returns:
            Those of networks, the front-end apart; those of the coder's tables.
        """
        tables = self.symbol_tables.coding_buffers
        return (f"units.{self.active}.encoder.",), tuple(f"tables.{self.active}.{name}" for name in tables)

    @property
    def unit_indices(self) -> dict[str, int]:
        """The index by which payloads name each unit: its place in the bank, which sender and receiver must share."""
        return {name: index for index, name in enumerate(self.units)}

    def select(self, name: str) -> None:
        """Makes another unit the active one, for every thread; the network is not touched.

        Raises:
            ConfigError: no unit has that name.
        """
        self.active = checked_unit_name(name, self.units)

    def update(self, **kwargs: Any) -> None:
        """Makes the coding tables ready; from then on eval-mode `forward` goes through real bytes.

        Units beside the active one that never saw an image, as where the stock harness trains one of a bank, are left
        without tables; coding with them raises TableError.

        Raises:
            TableError: nothing was counted yet for the active unit; train, or run `sc2-spic calibrate`.
        """
        for name, tables in self.tables.items():
            if name == self.active or tables.has_counts or tables.is_ready:  # type: ignore[operator]
                tables.update()  # type: ignore[operator]
        self.bottleneck_updated = True

    def get_aux_module(self, **kwargs: Any) -> nn.Module | None:
        """Returns None: nothing here needs an auxiliary loss."""
        return None

    @torch.no_grad()
    def encode_batch(self, image: Tensor, unit: str | None = None) -> EncodedBatch:
        """Encodes images (B, 3, H, W) into one payload each.

        Args:
            image: the images.
            unit: the unit of this request, whichever is active; None: the active one.

        Raises:
            TableError: the tables are not ready; call `update()` first.
            ConfigError: images so much larger than `input_size` that no receiver would accept them, a unit that there
                is not, or a unit asked for by name while the model is in training mode.
        """
        name = self.active if unit is None else checked_unit_name(unit, self.units)
        if unit is not None and self.units[name].training:  # leaving and entering that mode is not for many threads
            raise ConfigError(f"unit `{name}` is in training mode; call `eval()` before encoding by unit.")
        return self._encode_features(*self._split_front(image), name, self._image_size(image))

    def _encode_features(
        self, features: Tensor, crossing: Crossing, name: str, image_size: tuple[int, int]
    ) -> EncodedBatch:
        symbols = self.units[name].encode(features).cpu()  # type: ignore[operator]
        coder = self.coder_of(name)
        sizes = (features.shape[-2], features.shape[-1], *self.crossing.sizes(crossing))
        if self.crossing.refuses(sizes):
            raise ConfigError(self.crossing.refusal(*image_size))
        header = Payload(self.unit_indices[name], sizes)
        return encode_symbols(symbols, coder, header, self.default_sizes, crossing, self.published)

    def encode(self, image: Tensor, unit: str | None = None) -> dict[str, Any]:
        """Returns the host's compressed object: `strings` (one list of payloads, bytes) and `shape` (h, w).

        A bypassed model adds `bypass`, the tensors that cross uncoded. `unit` is that of `encode_batch`.
        """
        encoded = self.encode_batch(image, unit)
        return {**encoded.compressed, "bypass": encoded.bypass} if self.bypassed else encoded.compressed

    @torch.no_grad()
    def decode(self, strings: Sequence[Sequence[bytes]], shape: Sequence[int], bypass: Sequence[Tensor] = ()) -> Any:
        """Returns the network's output from payloads; `shape` is the host's and says nothing the payload does not.

        Raises:
            BitstreamError: a payload that cannot be decoded, payloads of one batch that differ in size, or a bypassed
                model without the tensors of `encode`.
        """
        check_bypass(bypass, self.crossing.tensors, self.cut)
        received = read_payloads(strings[0], list(self.units), self.default_sizes)
        unit: BottleneckUnit = self.units[received.unit]  # type: ignore[assignment]
        with doubting_sizes(received, self.default_sizes):
            features = decode_features(received, unit, self.coder_of(received.unit), self.network_digest.device)
        crossing = self.crossing.joined(received.sizes[2:], bypass)
        with doubting_sizes(received, self.default_sizes):
            return self.run_back_end(features, crossing)

    def forward(self, image: Tensor) -> Any:
        """Returns the network's output; after `update()` it comes from decoded bytes, before from rounded latents."""
        features, crossing = self._split_front(image)
        if self.bottleneck_updated:
            return self._answer(features, crossing, self.active, self._image_size(image))
        unit, size = self.unit, (features.shape[-2], features.shape[-1])
        return self.run_back_end(unit.decode(unit.encode(features), size), crossing)

    def run_back_end(self, features: Tensor, crossing: Crossing) -> Any:
        """Returns the network's output; of tensors that pass the unit it gets copies, for it may write into them."""
        return self.back_end(features, *(each.clone() if isinstance(each, Tensor) else each for each in crossing))

    @torch.no_grad()
    def answers(self, image: Tensor) -> Iterator[tuple[str, Any]]:
        """Yields each unit's name and the network's output from that unit's decoded bytes; one front-end pass for all.

        Each is coded, and handed to the analyzers, when it is asked for.

        Args:
            image: (B, 3, H, W).
        """
        features, crossing = self._split_front(image)
        for name in self.units:
            yield name, self._answer(features, crossing, name, self._image_size(image))

    def _answer(self, features: Tensor, crossing: Crossing, name: str, image_size: tuple[int, int]) -> Any:
        """Codes features into bytes, has them analyzed, and returns the output from what was decoded."""
        encoded = self._encode_features(features, crossing, name, image_size)
        if self.analyzes_after_compress:
            self.analyze(encoded.compressed, image_size=image_size, **encoded.details)
        return self.decode(**encoded.compressed, bypass=encoded.bypass)

    def analyze(self, compressed_obj: Any, **details: Any) -> None:
        """Hands the compressed object to every analyzer, with what the host's interface has no room for.

        Args:
            compressed_obj: the host's compressed object.
            details: further arguments of `SpicSizeAnalyzer.record`.
        """
        if not self.activated_analysis:
            return
        for analyzer in self.analyzers:
            if hasattr(analyzer, "record"):
                analyzer.record(compressed_obj, **details)
            else:
                analyzer.analyze(compressed_obj)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads units, tables and training parts; always strict.

        Raises:
            CheckpointError: made for another network, another cut or other units.
        """
        check_made_for(state_dict, {"network_digest": self.network_digest, "cut_digest": self.cut_digest})
        try:
            return super().load_state_dict(state_dict, strict=True, assign=assign)
        except RuntimeError as error:
            raise misfit(error) from error
