"""What is odd about a released unit: things a reader of its figures should know."""

import filecmp
from collections.abc import Iterable

from ..layers import PublishedGeometry
from .expected_rate import table_images
from .prior import prior_is_untrained
from .published import PublishedUnit

__all__ = ["oddities", "unreached_rows", "unseen_rows"]

_TRAINING_IMAGES = {"classification": 1_281_167, "segmentation": 92_500}
"""ImageNet's training set; COCO's, filtered as released (most tables: 92,496, the rest within 20 of it)."""
_MARGIN = 0.01


def oddities(unit: PublishedUnit, others: Iterable[PublishedUnit] = ()) -> list[str]:
    """Returns short sentences: prior, duplicates, bypassed split, positions without input, output size, table.

    Args:
        unit: the unit to judge.
        others: units to compare its files with, byte by byte; the unit itself among them does no harm.

    Raises:
        CheckpointError: the weights are missing, damaged, or another unit's.
        TableError: the table is missing, refused, or for another step.
    """
    found = []
    if unit.point.bypassed:
        found.append(f"bypassed split: `{unit.cut}` is not the only path from image to output")
    found += _geometry_oddities(unit)
    found += _duplicates(unit, others)
    found += _table_oddities(unit)
    if unit.released_weights.prior and prior_is_untrained(unit.released_weights.prior):
        found.append("untrained prior: its batch norms and biases hold initial values")
    return found


def unreached_rows(geometry: PublishedGeometry, length: int) -> int:
    """Counts output rows (or columns) that no latent reaches, for `length` input rows.

    Such a row holds the same numbers whatever the image is.
    """
    latent, output = geometry.latent_size((length, length))[0], geometry.output_size((length, length))[0]
    return output - _covered(latent, output, geometry.stride, geometry.decoder_kernel, geometry.decoder_padding)


def unseen_rows(geometry: PublishedGeometry, length: int) -> int:
    """Counts input rows (or columns) that the encoder never reads, of `length`."""
    latent = geometry.latent_size((length, length))[0]
    return length - _covered(latent, length, geometry.stride, geometry.encoder_kernel, geometry.padding)


def _covered(windows: int, length: int, stride: int, kernel: int, padding: int) -> int:
    rows = {window * stride - padding + tap for window in range(windows) for tap in range(kernel)}
    return len(rows & set(range(length)))


def _geometry_oddities(unit: PublishedUnit) -> list[str]:
    geometry, size = unit.geometry, unit.point.feature_size
    found, output = [], geometry.output_size(size)
    if output != size:
        found.append(f"returns {output[0]}x{output[1]} features for {size[0]}x{size[1]}")
    unreached, unseen = unreached_rows(geometry, size[0]), unseen_rows(geometry, size[0])
    if unreached:
        found.append(f"{unreached} of {output[0]} output rows and columns are reached by no symbol")
    if unseen:
        found.append(f"{unseen} of {size[0]} input rows and columns are never read")
    return found


def _duplicates(unit: PublishedUnit, others: Iterable[PublishedUnit]) -> list[str]:
    found = []
    for other in others:
        for what in ("weights", "table"):
            ours, theirs = getattr(unit, what), getattr(other, what)
            if other.name != unit.name and filecmp.cmp(ours, theirs, shallow=False):
                found.append(f"duplicate: {what} byte for byte those of {other.name}")
    return found


def _table_oddities(unit: PublishedUnit) -> list[str]:
    images, training = table_images(unit), _TRAINING_IMAGES[unit.task]
    if images != int(images):
        return ["its table was not counted at the published image size"]
    if abs(images / training - 1) <= _MARGIN:
        return []
    return [f"its table counts {int(images):,} images where the training set has about {training:,}"]
