"""Tables that live in a checkpoint: counted in training or exactly by calibration, all state in fixed-shape buffers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError, TableError
from ..ops.ranks import gathered, sum_in_place
from .kept_columns import KeptColumns
from .mode_coder import ModeCoder
from .modes import MAX_MODES, ModeCounts, count_by_mode
from .static_coder import StaticCoder
from .tables import MAX_TABLES, build_tables, integer_frequencies, shared_frequencies

__all__ = ["SymbolTables"]

_MAX_ENTRIES = 1 << 22
_MAX_MODE_ENTRIES = 1 << 24


class SymbolTables(nn.Module):
    """Counts symbols and turns the counts into the integer tables of a `StaticCoder`, with modes of a `ModeCoder`.

        training:     observe(symbols) ─► decaying histogram ─► update() ─────────────┐
        calibration:  start_calibration, count(symbols), finish_calibration() ─► tables ─► coder
        no data:      install_shared_counts(counts) ──────────────────────────────────┘

    Every buffer keeps its shape and is changed in place only, so a strict `load_state_dict` works at any time and
    `inference_mode` does no harm. Latents of another size than the default one are counted per channel.

    Args:
        channels: C_r, channels of the latent.
        latent_size: default height and width of the latent.
        alphabet_size: symbols 0..alphabet_size-1 have a place in the tables, all others escape.
        decay: what is left of the histogram at the next batch; 1 keeps everything.
        max_tables: the most tables that channels and positions share, at most 256.
        modes: the most sets of tables among which an image names its own, at most 256, fewer where a latent has very
            many symbols; 1 for none. Only calibration finds modes, for it sees whole images; it takes as many as pay.
        training_images: how many distinct images the batches are drawn from. A histogram that has seen them several
            times is scaled down to them when tables are built, or positions would be trusted too much. None: no limit.

    Raises:
        ConfigError: an argument that makes no sense.
    """

    histogram: Tensor
    channel_histogram: Tensor
    frequencies: Tensor
    assignment: Tensor
    channel_assignment: Tensor
    calibrated: Tensor
    mode_frequencies: Tensor

    def __init__(
        self,
        channels: int,
        latent_size: tuple[int, int],
        alphabet_size: int = 64,
        decay: float = 0.995,
        max_tables: int = 64,
        modes: int = 16,
        training_images: int | None = None,
    ) -> None:
        super().__init__()
        if min(channels, alphabet_size, *latent_size) < 1 or len(latent_size) != 2:
            raise ConfigError(
                f"{channels} channels, latent size {latent_size}, {alphabet_size} symbols: each must be >= 1"
            )
        if not 0 < decay <= 1 or not 1 <= max_tables <= MAX_TABLES:
            raise ConfigError(f"decay {decay} must be in (0, 1] and max_tables {max_tables} in 1..{MAX_TABLES}")
        if not 1 <= modes <= MAX_MODES:
            raise ConfigError(f"modes is {modes}: choose 1 (none) to {MAX_MODES}")
        if training_images is not None and training_images < 1:
            raise ConfigError(f"training_images is {training_images}: give the size of the training set, or None")
        self.channels, self.alphabet_size, self.decay = channels, alphabet_size, decay
        self.latent_size = (int(latent_size[0]), int(latent_size[1]))
        self.training_images = training_images
        positions = math.prod(latent_size)
        columns = alphabet_size + 1
        self.positions = positions if channels * positions * columns <= _MAX_ENTRIES else 1
        has_cells = self.positions == positions
        self.modes = max(1, min(modes, _MAX_MODE_ENTRIES // (channels * positions * columns))) if has_cells else 1
        tables = min(max_tables, self.modes * channels * self.positions)
        self.register_buffer("histogram", torch.zeros(channels, self.positions, columns))
        self.register_buffer("channel_histogram", torch.zeros(channels, columns))
        self.register_buffer("frequencies", torch.zeros(tables, columns, dtype=torch.int32))
        by_mode = (self.modes,) if self.modes > 1 else ()
        self.register_buffer("assignment", torch.zeros(*by_mode, channels, self.positions, dtype=torch.uint8))
        if self.modes > 1:  # all zero: no modes were found
            self.register_buffer("mode_frequencies", torch.zeros(self.modes, dtype=torch.int32))
        self.register_buffer("channel_assignment", torch.zeros(channels, dtype=torch.uint8))
        self.register_buffer("calibrated", torch.zeros((), dtype=torch.bool))
        self._coder: StaticCoder | ModeCoder | None = None
        self._calibration: Tensor | None = None
        self._kept: KeptColumns | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there are tables."""
        return bool((self.frequencies[0, 0] > 0).item())

    @property
    def has_counts(self) -> bool:
        """Whether the histogram holds anything."""
        return bool((self.histogram.any() | self.channel_histogram.any()).item())

    @property
    def coding_buffers(self) -> tuple[str, ...]:
        """Names of the buffers that code; all others are what they were counted from."""
        names = ("frequencies", "assignment", "channel_assignment")
        return (*names, "mode_frequencies") if self.modes > 1 else names

    @property
    def coder(self) -> StaticCoder | ModeCoder:
        """The coder of the current tables; the same object until they change.

        Raises:
            TableError: there are no tables yet, or those loaded are damaged.
        """
        if self._coder is None:
            if not self.is_ready:
                raise TableError("there are no tables yet: call `update()` after training, or run `sc2-spic calibrate`")
            frequencies = self.frequencies.cpu().numpy()
            channel_assignment = self.channel_assignment.cpu().numpy()
            frequencies, assignment = frequencies[frequencies[:, 0] > 0], self.assignment.cpu().numpy()
            modes = self.mode_frequencies.cpu().numpy() if self.modes > 1 else np.zeros(1, dtype=np.int32)
            used = int((modes > 0).sum())
            if used > 1:
                self._coder = ModeCoder(
                    frequencies, channel_assignment, assignment[:used], self.latent_size, modes[:used]
                )
            else:
                plain = assignment.reshape(-1, self.channels, self.positions)[0] if self.positions > 1 else None
                self._coder = StaticCoder(frequencies, channel_assignment, plain, self.latent_size)
        return self._coder

    @torch.no_grad()
    def observe(self, symbols: Tensor) -> None:
        """Adds a training batch to the histogram, summed over ranks; every rank must call it. Never waits for the GPU.

        The unit is being trained, so tables that were calibrated before are no longer kept by `update`.

        Args:
            symbols: (B, C, h, w) integers.
        """
        counts = _summed_over_ranks(self._counted(symbols, torch.float32))
        at_positions, at_channels = self._parts(counts)
        self.histogram.mul_(self.decay).add_(at_positions)
        self.channel_histogram.mul_(self.decay).add_(at_channels)
        self.calibrated.fill_(False)

    def update(self, force: bool = False) -> bool:
        """Builds the tables from the histogram; calibrated tables are kept.

        Args:
            force: builds them even if that replaces calibrated ones.

        Returns:
            Whether tables were built.

        Raises:
            TableError: the histogram is empty.
        """
        if bool(self.calibrated.item()) and not force:
            return False
        if not self.has_counts:
            raise TableError(
                "the histogram is empty, no symbols were observed: train the unit, "
                "or run `sc2-spic calibrate` on training images"
            )
        counts, at_channels = self.histogram.double().cpu(), self.channel_histogram.double().cpu()
        images = float(counts.sum() + at_channels.sum()) / (self.channels * math.prod(self.latent_size))
        scale = 1.0 if self.training_images is None else min(1.0, self.training_images / images)
        self._build(counts * scale, at_channels * scale)
        self.calibrated.fill_(False)
        return True

    def start_calibration(self) -> None:
        """Begins an exact count; what was counted and not finished is dropped."""
        entries = self.histogram.numel() + self.channel_histogram.numel()
        self._calibration = torch.zeros(entries, dtype=torch.int64, device=self.histogram.device)
        if self.modes > 1:
            self._kept = KeptColumns(self.channels * self.positions, self.alphabet_size + 1)

    @torch.no_grad()
    def count(self, symbols: Tensor) -> None:
        """Adds (B, C, h, w) integers to the exact count of this rank.

        Raises:
            TableError: no calibration was started.
        """
        if self._calibration is None:
            raise TableError("no calibration was started: call `start_calibration()` first")
        self._calibration += self._counted(symbols, torch.int64)
        if self._kept is not None and tuple(symbols.shape[2:]) == self.latent_size:
            self._kept.add(self._columns(symbols.long()).flatten(1).cpu().numpy())

    def finish_calibration(self) -> None:
        """Builds the tables from the exact counts of all ranks; `update` keeps them from now on.

        Raises:
            TableError: no calibration was started, or nothing was counted.
        """
        if self._calibration is None:
            raise TableError("no calibration was started: call `start_calibration()` first")
        at_positions, at_channels = self._parts(_summed_over_ranks(self._calibration))
        by_mode = None
        if self._kept is not None:
            columns = np.concatenate(gathered(self._kept.array())).reshape(-1, self.channels, self.positions)
            by_mode = count_by_mode(columns, self.alphabet_size + 1, self.modes)
        self._build(at_positions.cpu(), at_channels.cpu(), by_mode)
        self.calibrated.fill_(True)
        self._calibration = self._kept = None

    @torch.no_grad()
    def install_shared_counts(self, counts: Mapping[int, int]) -> None:
        """Makes one table out of given counts and uses it for all channels and positions; it needs no data.

        `update` keeps it as it keeps calibrated tables; calibrating or training on replaces it.

        Args:
            counts: how often each symbol occurred, for example in a published table.

        Raises:
            TableError: the counts make no table, or name a symbol outside 0..alphabet_size-1.
        """
        frequencies = shared_frequencies(counts, self.alphabet_size)
        self.frequencies.zero_()
        self.frequencies[0].copy_(torch.from_numpy(frequencies))
        self.assignment.zero_()
        self.channel_assignment.zero_()
        if self.modes > 1:
            self.mode_frequencies.zero_()
        self.calibrated.fill_(True)
        self._coder = None

    def extra_repr(self) -> str:
        """What `print` shows."""
        per = "channel and position" if self.positions > 1 else "channel"
        return f"{self.channels} channels at {self.latent_size}, tables per {per}, {self.alphabet_size} symbols"

    @torch.no_grad()
    def _build(self, at_positions: Tensor, at_channels: Tensor, by_mode: ModeCounts | None = None) -> None:
        """Makes tables of counts, those of modes if there are any, with how many images each mode has."""
        counts, images = (at_positions.numpy(), None) if by_mode is None else by_mode
        tables = build_tables(counts, at_channels.numpy(), max_tables=len(self.frequencies))
        self.frequencies.zero_()
        self.frequencies[: len(tables.frequencies)].copy_(torch.from_numpy(tables.frequencies))
        self.assignment.zero_()
        if self.modes > 1:
            self.mode_frequencies.zero_()
        if images is not None:
            self.mode_frequencies[: len(images)].copy_(torch.from_numpy(integer_frequencies(images)))
            self.assignment[: len(images)].copy_(torch.from_numpy(tables.assignment))
        elif self.positions > 1:
            self.assignment.copy_(torch.from_numpy(tables.assignment))  # of all modes alike
        self.channel_assignment.copy_(torch.from_numpy(tables.channel_assignment))
        self._coder = None

    def _columns(self, symbols: Tensor) -> Tensor:
        return torch.where((symbols >= 0) & (symbols < self.alphabet_size), symbols, self.alphabet_size)

    def _counted(self, symbols: Tensor, dtype: torch.dtype) -> Tensor:
        """Counts (B, C, h, w): the entries of `histogram`, then those of `channel_histogram`, in one row."""
        if symbols.is_floating_point() or symbols.is_complex() or symbols.dtype is torch.bool:
            raise TableError(f"symbols must be integers, these are {symbols.dtype}: quantise the latent first")
        if symbols.ndim != 4 or symbols.shape[1] != self.channels:
            raise TableError(f"symbols of shape {tuple(symbols.shape)}: expected (B, {self.channels}, h, w)")
        columns = self.alphabet_size + 1
        index = self._columns(symbols.long())
        channel = torch.arange(self.channels, device=symbols.device).view(-1, 1, 1)
        if self.positions == 1:
            index += channel * columns
        elif tuple(symbols.shape[2:]) == self.latent_size:
            position = torch.arange(self.positions, device=symbols.device).view(self.latent_size)
            index += (channel * self.positions + position) * columns
        else:
            index += self.histogram.numel() + channel * columns
        counts = torch.zeros(
            self.histogram.numel() + self.channel_histogram.numel(), dtype=dtype, device=symbols.device
        )
        counts.scatter_add_(0, index.flatten(), torch.ones_like(index, dtype=dtype).flatten())
        return counts.to(self.histogram.device)

    def _parts(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        at_positions, at_channels = counts.split([self.histogram.numel(), self.channel_histogram.numel()])
        return at_positions.view_as(self.histogram), at_channels.view_as(self.channel_histogram)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Loads tables; those without modes fit where there is room for modes, which calibration then finds."""
        plain, rows = (state_dict.get(prefix + name) for name in ("assignment", "frequencies"))
        if self.modes > 1 and isinstance(plain, Tensor) and plain.shape == self.assignment.shape[1:]:
            state_dict[f"{prefix}assignment"] = plain.expand_as(self.assignment)
            state_dict[f"{prefix}mode_frequencies"] = torch.zeros_like(self.mode_frequencies)
            if (
                isinstance(rows, Tensor)
                and len(rows) < len(self.frequencies)
                and rows.shape[1:] == self.frequencies.shape[1:]
            ):
                missing = rows.new_zeros(len(self.frequencies) - len(rows), rows.shape[1])
                state_dict[f"{prefix}frequencies"] = torch.cat([rows, missing])
        for name, buffer in self.named_buffers():
            loaded = state_dict.get(prefix + name)
            if isinstance(loaded, Tensor) and loaded.shape != buffer.shape:
                raise CheckpointError(
                    f"`{prefix}{name}` has shape {tuple(loaded.shape)} in the checkpoint, {tuple(buffer.shape)} here: "
                    "build the model with the channels, latent size, alphabet size, tables and modes of the checkpoint"
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)  # type: ignore[arg-type]
        self._coder = None


def _summed_over_ranks(counts: Tensor) -> Tensor:
    sum_in_place([counts])
    return counts
