"""The five outlines of synthetic objects: the coarse evidence, shared by two classes each."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .fields import Field, pixel_grid, smooth_noise

__all__ = ["SILHOUETTES", "Placement", "place", "silhouette"]

SilhouetteFunction = Callable[[np.random.Generator, Field, Field], Field]
"""(rng, x, y) -> level; coordinates where the object has radius 1, level positive inside, about 1 in the middle."""


class Placement(NamedTuple):
    """Where an object stands in the picture, in units of the picture's side; angle in radians."""

    x: float
    y: float
    radius: float
    aspect: float
    angle: float


def _pebble(rng: np.random.Generator, x: Field, y: Field) -> Field:
    return 0.9 - np.hypot(x, y)


def _leaf(rng: np.random.Generator, x: Field, y: Field) -> Field:
    return rng.uniform(0.45, 0.6) * (1.25 - x * x) - np.abs(y)


def _star(rng: np.random.Generator, x: Field, y: Field) -> Field:
    lobes = rng.integers(5, 7)
    return 0.82 + 0.2 * np.cos(lobes * np.arctan2(y, x)) - np.hypot(x, y)


def _shard(rng: np.random.Generator, x: Field, y: Field) -> Field:
    sides = rng.integers(3, 5)
    angles = (np.arange(sides) + rng.uniform(-0.2, 0.2, sides)) * 2 * np.pi / sides
    reach = 0.56 if sides == 3 else 0.72
    return np.min([reach - x * np.cos(angle) - y * np.sin(angle) for angle in angles], axis=0)


def _ring(rng: np.random.Generator, x: Field, y: Field) -> Field:
    distance = np.hypot(x, y)
    return np.minimum(1.0 - distance, distance - rng.uniform(0.3, 0.4))


SILHOUETTES: dict[str, SilhouetteFunction] = {
    "pebble": _pebble,
    "leaf": _leaf,
    "star": _star,
    "shard": _shard,
    "ring": _ring,
}
"""Outline functions by name."""


def place(rng: np.random.Generator, radius: tuple[float, float], spread: float) -> Placement:
    """Returns a random placement around the middle of the picture.

    Args:
        rng: where it comes from.
        radius: least and greatest radius.
        spread: how far from the middle the centre may lie, in each direction.
    """
    return Placement(
        x=0.5 + rng.uniform(-spread, spread),
        y=0.5 + rng.uniform(-spread, spread),
        radius=rng.uniform(*radius),
        aspect=rng.uniform(0.85, 1.18),
        angle=rng.uniform(0, 2 * np.pi),
    )


def silhouette(name: str, rng: np.random.Generator, size: int, placement: Placement) -> tuple[Field, Field]:
    """Draws one outline with a slightly uneven edge.

    Args:
        name: a key of `SILHOUETTES`.
        rng: where the outline's own randomness comes from.
        size: height and width in pixels.
        placement: where it stands.

    Returns:
        The coverage (size, size) in [0, 1] with an edge one pixel soft, and the level (size, size): the height above
        the outline, in radii.
    """
    x, y = pixel_grid(size)
    cosine, sine = np.cos(placement.angle), np.sin(placement.angle)
    shifted_x, shifted_y = x - placement.x, y - placement.y
    own_x = (shifted_x * cosine + shifted_y * sine) / (placement.radius * placement.aspect)
    own_y = (shifted_y * cosine - shifted_x * sine) / (placement.radius / placement.aspect)
    level = SILHOUETTES[name](rng, own_x, own_y) + 0.05 * smooth_noise(rng, size, 6)
    coverage = np.clip(level * placement.radius * size + 0.5, 0.0, 1.0)
    return coverage, level
