"""The table of `sc2-spic import --check`: what each released unit is, costs, and what is odd about it."""

from collections.abc import Sequence
from typing import NamedTuple

from .expected_rate import expected_rate
from .oddities import oddities
from .published import PublishedUnit

__all__ = ["CheckRow", "check_rows"]


class CheckRow(NamedTuple):
    """One released operating point."""

    name: str
    """For example `classification/S1/0`."""
    cut: str
    """The split: module of the original network whose output the unit gets."""
    stride: int
    """Downsampling S."""
    latent_channels: int
    """C_r."""
    step: float
    """Quantiser step Q."""
    parameters: int
    """Trained numbers of the unit."""
    huffman_bpp: float
    """Expected bits per image pixel under the released coder and the unit's own table."""
    ideal_bpp: float
    """The same under an ideal coder of that table."""
    saving_percent: float
    """What the ideal coder saves, 0 to 100."""
    oddities: tuple[str, ...]
    """Short sentences."""


def check_rows(units: Sequence[PublishedUnit]) -> list[CheckRow]:
    """Reads every unit, weights and table, and returns one row each, in their order.

    Raises:
        CheckpointError: weights that are missing, damaged, or another unit's.
        TableError: a table that is missing, refused, or for another step.
    """
    return [_row(unit, units) for unit in units]


def _row(unit: PublishedUnit, units: Sequence[PublishedUnit]) -> CheckRow:
    rate = expected_rate(unit)
    return CheckRow(
        name=unit.name,
        cut=unit.cut,
        stride=unit.stride,
        latent_channels=unit.latent_channels,
        step=unit.step,
        parameters=unit.released_weights.parameters,
        huffman_bpp=rate.huffman_bpp,
        ideal_bpp=rate.ideal_bpp,
        saving_percent=100 * rate.saving,
        oddities=tuple(oddities(unit, units)),
    )
