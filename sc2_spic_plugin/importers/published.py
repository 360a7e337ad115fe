"""One released operating point: where its files are and what the release says about it."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ConfigError
from ..layers import BottleneckUnit, PublishedGeometry, published_geometry
from .frequencies import read_frequencies
from .load import check_fits, load_published_unit
from .split_points import SplitPoint, split_point
from .weights import PublishedWeights, read_published_weights

__all__ = ["PublishedUnit", "single_published_unit"]

Size = tuple[int, int]


@dataclass(frozen=True)
class PublishedUnit:
    """A released unit; its files are read when they are first needed.

    Attributes:
        task: `classification` or `segmentation`.
        split: `S1`, `S2`, `S3` (supervised), `US1` or `US2` (unsupervised).
        index: number within the split, from 0, as in the release's dict.yaml; its files count from 1.
        step: quantiser step Q.
        stride: downsampling S.
        latent_channels: C_r.
        weights: path of the checkpoint.
        table: path of the pickled frequency table.

    Raises:
        ConfigError: no such task or split, or a number that makes no unit.
    """

    task: str
    split: str
    index: int
    step: float
    stride: int
    latent_channels: int
    weights: Path
    table: Path

    def __post_init__(self) -> None:
        split_point(self.task, self.split)
        for name, least in (("index", 0), ("stride", 1), ("latent_channels", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} of a released unit must be a whole number of {least} or more, got {value!r}")
        is_number = isinstance(self.step, int | float) and not isinstance(self.step, bool)
        if not is_number or not math.isfinite(self.step) or self.step <= 0:
            raise ConfigError(f"step of a released unit must be a positive number, got {self.step!r}")

    @property
    def name(self) -> str:
        """For example `classification/S1/0`."""
        return f"{self.task}/{self.split}/{self.index}"

    @property
    def supervision(self) -> str:
        """`supervised` or `unsupervised`."""
        return "unsupervised" if self.split.startswith("US") else "supervised"

    @property
    def point(self) -> SplitPoint:
        """Where the unit sits in its network."""
        return split_point(self.task, self.split)

    @property
    def cut(self) -> str:
        """Module of the original network whose output the unit gets."""
        return self.point.cut

    @property
    def geometry(self) -> PublishedGeometry:
        """Kernels, paddings and sizes."""
        return published_geometry(self.task, self.split, self.stride)

    @property
    def latent_size(self) -> Size:
        """(h, w) of the latent at the image size of the published figures."""
        return self.geometry.latent_size(self.point.feature_size)

    @property
    def symbols(self) -> int:
        """Symbols per image at that size."""
        return self.latent_channels * self.latent_size[0] * self.latent_size[1]

    @cached_property
    def released_weights(self) -> PublishedWeights:
        """The checkpoint's content, checked against what the release says.

        Raises:
            CheckpointError: missing, damaged, or another unit's.
        """
        weights = read_published_weights(self.weights)
        check_fits(weights, task=self.task, split=self.split, stride=self.stride, latent_channels=self.latent_channels)
        return weights

    @property
    def in_channels(self) -> int:
        """Channels C of the features, as found in the weights."""
        return self.released_weights.in_channels

    @cached_property
    def frequencies(self) -> dict[int, int]:
        """Symbol -> count over the training set, ascending.

        Raises:
            TableError: missing, refused, or for another step.
        """
        return read_frequencies(self.table, self.step)

    def load(self) -> tuple[BottleneckUnit, dict[int, int]]:
        """Returns a new unit in eval mode, and its table: `load_published_unit` with all that the release says."""
        return load_published_unit(
            self.weights,
            self.table,
            task=self.task,
            split=self.split,
            step=self.step,
            stride=self.stride,
            latent_channels=self.latent_channels,
        )


def single_published_unit(
    weights_path: str | Path,
    table_path: str | Path,
    *,
    task: str,
    split: str,
    step: float,
    stride: int,
    latent_channels: int,
    index: int = 0,
) -> PublishedUnit:
    """Makes a `PublishedUnit` of one checkpoint and its table, wherever they are; both are read and checked.

    Raises:
        CheckpointError: the weights are missing, damaged, or of another unit than was asked for.
        TableError: the table is missing, refused, or for another step.
        ConfigError: no such task or split, or a number that makes no unit.
    """
    unit = PublishedUnit(task, split, index, step, stride, latent_channels, Path(weights_path), Path(table_path))
    _ = unit.released_weights, unit.frequencies
    return unit
