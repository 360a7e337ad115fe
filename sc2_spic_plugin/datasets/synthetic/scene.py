"""One synthetic photograph: background, clutter, the object with its light and shadow, and what stands before it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from .camera import photograph
from .fields import Field, pixel_grid, smooth_noise
from .painting import muted_colour, paint, twig
from .silhouettes import SILHOUETTES, place, silhouette
from .textures import TEXTURES, texture

__all__ = ["CLASSES", "render"]

CLASSES: dict[str, tuple[str, str]] = {
    "pebble_speckled": ("pebble", "speckled"),
    "pebble_veined": ("pebble", "veined"),
    "leaf_ribbed": ("leaf", "ribbed"),
    "leaf_scaly": ("leaf", "scaly"),
    "star_cracked": ("star", "cracked"),
    "star_woven": ("star", "woven"),
    "shard_bricked": ("shard", "bricked"),
    "shard_grained": ("shard", "grained"),
    "ring_dotted": ("ring", "dotted"),
    "ring_rippled": ("ring", "rippled"),
}
"""Outline and texture by class. Each outline has two classes, told apart by the texture alone."""

_TEXTURE_NAMES = tuple(TEXTURES)
_SILHOUETTE_NAMES = tuple(SILHOUETTES)


def _background(rng: np.random.Generator, size: int) -> Field:
    x, y = pixel_grid(size)
    first, second = muted_colour(rng), muted_colour(rng)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    blend = np.clip(0.5 + rng.uniform(0.2, 0.8) * slope + 0.15 * smooth_noise(rng, size, 4), 0, 1)
    rough = 1.0 + rng.uniform(0.02, 0.07) * smooth_noise(rng, size, int(rng.integers(8, 28)))
    surface = texture(_TEXTURE_NAMES[rng.integers(len(_TEXTURE_NAMES))], rng, size, (0.5, 0.5))
    rough += rng.uniform(0.0, 0.07) * surface
    return (first + blend * (second - first)) * rough


def _clutter(rng: np.random.Generator, size: int, scene: Field) -> Field:
    """Lays small bodies of any outline behind the object; they share one texture of any kind."""
    surface = texture(_TEXTURE_NAMES[rng.integers(len(_TEXTURE_NAMES))], rng, size, (0.5, 0.5))
    for _ in range(rng.integers(1, 4)):
        name = _SILHOUETTE_NAMES[rng.integers(len(_SILHOUETTE_NAMES))]
        coverage, level = silhouette(name, rng, size, place(rng, (0.07, 0.14), 0.5))
        brightness = 0.85 + 0.3 * np.clip(level, 0, 1) + rng.uniform(0.0, 0.12) * surface
        scene = paint(scene, coverage, muted_colour(rng), brightness)
    return scene


def _twigs(rng: np.random.Generator, size: int, scene: Field) -> Field:
    """Lays up to two thin bent bars before the object."""
    for _ in range(rng.integers(0, 2)):
        coverage, brightness = twig(rng, size)
        scene = paint(scene, coverage, muted_colour(rng), brightness)
    return scene


def render(name: str, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Renders one picture of a class.

    Args:
        name: a key of `CLASSES`.
        rng: the only source of randomness.
        size: height and width in pixels; the same scene at any size, but for the pixel noise.

    Returns:
        The picture (size, size, 3), 8 bits a channel, RGB.
    """
    x, y = pixel_grid(size)
    outline, surface_name = CLASSES[name]
    scene = _clutter(rng, size, _background(rng, size))

    light = rng.uniform(0, 2 * np.pi)
    towards_x, towards_y = np.cos(light), np.sin(light)
    placement = place(rng, (0.33, 0.43), 0.06)
    coverage, level = silhouette(outline, rng, size, placement)

    reach = rng.uniform(0.02, 0.06) * size
    shadow = shift(coverage, (-towards_y * reach, -towards_x * reach), order=1, prefilter=False)
    scene = scene * (1.0 - rng.uniform(0.15, 0.5) * shadow)

    surface = texture(surface_name, rng, size, (placement.x, placement.y))
    contrast = np.exp(rng.uniform(np.log(0.1), np.log(0.26)))
    facing = ((x - placement.x) * towards_x + (y - placement.y) * towards_y) / placement.radius
    shading = 0.85 + 0.25 * np.sqrt(np.clip(level, 0, 1)) + rng.uniform(0.05, 0.3) * facing
    scene = paint(scene, coverage, muted_colour(rng), shading * (1.0 + contrast * surface))

    scene = _twigs(rng, size, scene)
    lighting = 1.0 + rng.uniform(0.0, 0.12) * smooth_noise(rng, size, 3)
    return photograph(rng, scene * lighting)
