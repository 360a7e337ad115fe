"""A soft histogram for each mode: the estimator that matches a static coder with modes."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..coding import MAX_MODES, fit_modes
from ..errors import ConfigError
from ..ops.ranks import gathered
from .code_lengths import CodeLengths, code_lengths
from .static_table import StaticTableRateEstimator

__all__ = ["ModeTableRateEstimator"]

_MAX_RECENT = 4096  # images among which modes are looked for
_MAX_BYTES = 1 << 23  # that their symbols may take


class ModeTableRateEstimator(StaticTableRateEstimator):
    """Cost of a latent under the cheapest of several running tables, and of naming that one.

    A training image is coded with the tables of those before it, and feeds those of its own mode. After so many batches
    modes are looked for anew among the images seen last, as calibration does after training (`coding.fit_modes`): as
    many as pay, none at first.

        symbols ─► code length in each mode ─► number of the cheapest: its tables, its slopes
              └──► the last images ─► every `refit_batches`: fit_modes ─► tables of every mode

    The image's symbols pull on the unit through the tables of one mode, so that what images of a mode have in common
    costs little and is learned to cost less.

    YAML: `rate_estimator: {key: 'mode_table', kwargs: {modes: 16}}`

    Args:
        channels: C of the latents.
        latent_size: (h, w) of the latents, all of one size.
        seed: accepted like every estimator's; no noise is drawn.
        modes: the most modes there may be, 2 to 256; the deployed tables' `modes` should be as many.
        refit_batches: training batches from one search for modes to the next.
        mode_smoothing: weight of the table of all images against that of a mode, in counts.
        positions, alphabet, offset, decay, mode, smoothing, position_smoothing: see `StaticTableRateEstimator`;
            `alphabet` is at most 256.

    Raises:
        ConfigError: an argument is out of range, or there is no `latent_size`.
    """

    recent: Tensor
    seen: Tensor

    def __init__(
        self,
        channels: int,
        latent_size: tuple[int, int] | None = None,
        seed: int | None = None,
        modes: int = 16,
        refit_batches: int = 64,
        mode_smoothing: float = 4.0,
        positions: bool = True,
        alphabet: int = 32,
        offset: int = 0,
        decay: float = 0.99,
        mode: str = "straight_through",
        smoothing: float = 1.0,
        position_smoothing: float = 16.0,
    ) -> None:
        super().__init__(
            channels, latent_size, seed, positions, alphabet, offset, decay, mode, smoothing, position_smoothing
        )
        if self.latent_size is None:
            raise ConfigError("modes are of images whose latents have one size: give latent_size=(h, w).")
        if not 2 <= modes <= MAX_MODES or refit_batches < 1 or mode_smoothing <= 0 or alphabet > 256:
            raise ConfigError(
                f"modes={modes}, refit_batches={refit_batches}, mode_smoothing={mode_smoothing}, alphabet={alphabet}: "
                f"there are 2 to {MAX_MODES} modes and at most 256 symbols, the others are above 0."
            )
        self.modes, self.refit_batches, self.mode_smoothing = modes, refit_batches, float(mode_smoothing)
        self._shape = (channels, *self.latent_size)
        cells = math.prod(self._shape)
        self.counts = self.counts.repeat(modes, 1, 1)  # not four dimensions: `to(memory_format=...)` would reorder them
        rows = max(2, min(_MAX_RECENT, _MAX_BYTES // cells))
        self.register_buffer("recent", torch.zeros(rows, cells, dtype=torch.uint8))
        self.register_buffer("seen", torch.zeros(2, dtype=torch.long))  # batches, images; so that training resumes
        self._seen: tuple[int, int] | None = None  # the same here, for the device is not to be waited for

    def code_lengths(self) -> CodeLengths:
        """Returns the current code lengths of every mode: (M, C, P, A) bits and slopes."""
        counts = self._counts_of_modes()
        shared = code_lengths(counts.sum(0), self.smoothing, self.position_smoothing)
        weight = self.mode_smoothing
        own = (counts + weight * torch.exp2(-shared.bits)) / (counts.sum(-1, keepdim=True) + weight)
        bits = -torch.log2(own)
        beyond = shared.slopes[..., -1:].expand(*bits.shape[:-1], 1)
        return CodeLengths(bits, torch.cat((bits.diff(dim=-1), beyond), dim=-1))

    def naming_bits(self) -> Tensor:
        """Returns what naming each mode costs, (M,) bits; infinite for those that no image is of."""
        images = self._counts_of_modes()[:, 0].sum((-1, -2))
        images[0] += ~images.any()  # nothing was counted yet: there is one mode
        return -torch.log2(images / images.sum())

    def _counts_of_modes(self) -> Tensor:
        return self.counts.float().view(self.modes, self.channels, *self.counts.shape[-2:])

    def _tables_of(self, symbols: Tensor) -> tuple[CodeLengths, Tensor, Tensor]:
        if tuple(symbols.shape[-2:]) != self.latent_size:
            raise ConfigError(
                f"The modes are those of latents of {self.latent_size} and got {tuple(symbols.shape[-2:])}; "
                "build the estimator with that latent_size, or use `static_table`."
            )
        rows, columns = self._rows(symbols), self._columns(symbols)
        if self.training:
            self._remember(columns)
        table, naming = self.code_lengths(), self.naming_bits()
        costs = functional.embedding_bag((rows + columns).flatten(1), table.bits.flatten(1).T, mode="sum") + naming
        modes = costs.argmin(1)
        rows = rows + modes.view(-1, 1, 1, 1) * (self.counts.numel() // self.modes)
        if self.training:
            self._count(rows, symbols)
        return table, rows, naming[modes]

    def _remember(self, columns: Tensor) -> None:
        """Looks for modes when it is time, then keeps a training batch's columns."""
        if self._seen is None:
            self._seen = (int(self.seen[0]), int(self.seen[1]))
        batches, images = self._seen
        if batches and batches % self.refit_batches == 0:
            self._refit(self.recent[:images])
        places = torch.arange(images, images + len(columns), device=columns.device) % len(self.recent)
        self.recent[places[-len(self.recent) :]] = columns.flatten(1)[-len(self.recent) :].to(torch.uint8)
        self._seen = (batches + 1, images + len(columns))
        self.seen += torch.tensor([1, len(columns)], device=self.seen.device)

    def _refit(self, recent: Tensor) -> None:
        """Replaces the counts by those of the images seen last, each in the mode that it is found to be of."""
        columns = np.concatenate(gathered(recent.cpu().numpy()))
        groups = np.unique(fit_modes(columns, self.modes), return_inverse=True)[1]
        rows = self._rows(torch.zeros(1, *self._shape))
        places = torch.from_numpy(columns).long().view(-1, *self._shape) + rows
        places += torch.from_numpy(groups).view(-1, 1, 1, 1) * (self.counts.numel() // self.modes)
        counted = torch.bincount(places.flatten(), minlength=self.counts.numel())
        self.counts.copy_(counted.view_as(self.counts))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._seen = None
