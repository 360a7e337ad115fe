"""A soft histogram of the table that will be deployed: the estimator that matches a static coder."""

import torch
from torch import Tensor

from ..errors import ConfigError, nearest
from ..ops.ranks import sum_in_place
from .base import RateEstimate, RateEstimator
from .code_lengths import CodeLengths, code_lengths

__all__ = ["StaticTableRateEstimator"]

_MODES = ("straight_through", "interpolated", "smoothed")


class StaticTableRateEstimator(RateEstimator):
    """Cost of a latent under a running per-channel (and per-position) table of its own symbols.

    Training batches feed the counts before they are coded; eval mode only reads them. There is no parameter: the
    table follows the unit, the unit follows the slope of the table.

    YAML: `rate_estimator: {key: 'static_table', kwargs: {mode: 'straight_through', positions: False}}`

    Args:
        channels: C of the latents.
        latent_size: (h, w), needed when `positions` is set.
        seed: accepted like every estimator's; no noise is drawn.
        positions: whether each position has a table of its own, backed off to its channel's.
        alphabet: number of symbols A with a count of their own; the last one stands for itself and all above.
        offset: the smallest symbol; latents below it count as it (0 for units that end in a ReLU).
        decay: share of the counts kept from one training batch to the next; 0.99 remembers about 100 batches.
        mode: how a latent between two integers is charged in training. `straight_through`: value of its symbol, slope
            of the line between the two neighbouring symbols. `interpolated`: value and slope of that line.
            `smoothed`: value of its symbol, slope of the line averaged over uniform noise, in closed form.
            In eval mode the value is always that of the symbol.
        smoothing: see `code_lengths`.
        position_smoothing: see `code_lengths`.

    Raises:
        ConfigError: an argument is out of range, or `positions` without `latent_size`.
    """

    counts: Tensor

    def __init__(
        self,
        channels: int,
        latent_size: tuple[int, int] | None = None,
        seed: int | None = None,
        positions: bool = False,
        alphabet: int = 64,
        offset: int = 0,
        decay: float = 0.99,
        mode: str = "straight_through",
        smoothing: float = 1.0,
        position_smoothing: float = 16.0,
    ) -> None:
        super().__init__(channels, latent_size, seed)
        if mode not in _MODES:
            raise ConfigError(f"Unknown mode `{mode}` of the static table. {nearest(mode, _MODES)}")
        if positions and self.latent_size is None:
            raise ConfigError("positions=True keeps a table per position: give latent_size=(h, w) too.")
        if alphabet < 2 or not 0 <= decay <= 1 or min(smoothing, position_smoothing) <= 0:
            raise ConfigError(
                f"alphabet={alphabet}, decay={decay}, smoothing={smoothing}, position_smoothing={position_smoothing}: "
                "the alphabet needs two symbols, decay lies between 0 and 1, smoothing is above 0."
            )
        self.positions, self.offset, self.decay, self.mode = positions, int(offset), float(decay), mode
        self.smoothing, self.position_smoothing = float(smoothing), float(position_smoothing)
        cells = self.latent_size[0] * self.latent_size[1] if positions and self.latent_size else 1
        self.register_buffer("counts", torch.zeros(self.channels, cells, alphabet))

    def code_lengths(self) -> CodeLengths:
        """Returns the current code lengths: (C, P, A) bits and slopes."""
        return code_lengths(self.counts.float(), self.smoothing, self.position_smoothing)

    def estimate(self, latent: Tensor) -> RateEstimate:
        """Returns the code length of the latent's symbols, with the mode's slope as gradient."""
        if self.positions and tuple(latent.shape[-2:]) != self.latent_size:
            raise ConfigError(
                f"The tables per position are for latents of {self.latent_size} and got {tuple(latent.shape[-2:])}; "
                "build the estimator with that latent_size or with positions=False."
            )
        with torch.no_grad():
            values = torch.nan_to_num(latent.detach() - self.offset, nan=0.0, posinf=1e6, neginf=-1e6).clamp_min_(0)
            symbols = torch.round(values)
            table, rows, side_bits = self._tables_of(symbols)
            if self.training and self.mode == "interpolated":
                bits, slope = _line(table, rows, values)
            else:
                bits, slope = _line(table, rows, symbols)[0], self._slope(table, rows, values)
            slope = slope * (latent >= self.offset)
        cost = torch.addcmul(bits, slope, latent - latent.detach())  # value `bits`, gradient `slope`
        total = cost.flatten(1).sum(1)  # a latent that is not finite makes 0 * inf above, so the total is not finite
        return RateEstimate(bits=total + side_bits, side_bits=side_bits)

    def _slope(self, table: CodeLengths, rows: Tensor, values: Tensor) -> Tensor:
        """Returns the gradient of the cost at `values` >= 0."""
        if self.mode == "smoothed":
            return _line(table, rows, values + 0.5)[0] - _line(table, rows, (values - 0.5).clamp_min_(0))[0]
        return _line(table, rows, values)[1]

    def _tables_of(self, symbols: Tensor) -> tuple[CodeLengths, Tensor, Tensor]:
        """Counts a training batch; returns the code lengths, where in them each symbol's row starts, and side bits."""
        rows = self._rows(symbols)
        if self.training:
            self._count(rows, symbols)
        return self.code_lengths(), rows, symbols.new_zeros(len(symbols))

    def _rows(self, symbols: Tensor) -> Tensor:
        """Returns where each symbol's row starts in the flattened table, broadcastable to (B, C, h, w)."""
        cells, alphabet = self.counts.shape[-2:]
        size = symbols.shape[-2:] if self.positions else (1, 1)
        starts = torch.arange(0, self.channels * cells * alphabet, alphabet, device=symbols.device)
        return starts.view(1, self.channels, *size)

    def _columns(self, symbols: Tensor) -> Tensor:
        """Returns the column of each symbol in its row."""
        return symbols.clamp_max(self.counts.shape[-1] - 1).long()

    def _count(self, rows: Tensor, symbols: Tensor) -> None:
        """Lets the counts decay and adds the batch's symbols, of all ranks, in place and without a host sync."""
        places = (rows + self._columns(symbols)).flatten()
        batch = torch.zeros_like(self.counts)
        batch.view(-1).index_add_(0, places, batch.new_ones(places.numel()))
        sum_in_place([batch])
        self.counts.mul_(self.decay).add_(batch)


def _line(table: CodeLengths, rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Returns value and slope at `values` >= 0 of the line through the table, extended beyond its last symbol."""
    below = values.clamp_max(table.bits.shape[-1] - 1).long()
    places = (rows + below).flatten()
    slope = table.slopes.flatten().index_select(0, places).view_as(values)
    bits = table.bits.flatten().index_select(0, places).view_as(values)
    return bits.addcmul_(values - below.to(values.dtype), slope), slope
