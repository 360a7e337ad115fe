"""Colours, paint and twigs: what every kind of synthetic scene is made with."""

import numpy as np

from .fields import Field, pixel_grid

__all__ = ["muted_colour", "paint", "twig"]


def muted_colour(rng: np.random.Generator) -> Field:
    """Returns a muted colour (3, 1, 1), drawn the same way for every class and every part of a scene."""
    value, tint = rng.uniform(0.25, 0.75), rng.normal(0.0, 0.09, 3)
    colour: Field = np.clip(value + (tint - tint.mean()), 0.08, 0.92)
    return colour[:, None, None]


def paint(scene: Field, coverage: Field, colour: Field, brightness: Field) -> Field:
    """Returns the scene (3, H, W) with a body of one colour (3, 1, 1) and a brightness (H, W) laid over it."""
    return scene + coverage * (brightness * colour - scene)


def twig(rng: np.random.Generator, size: int) -> tuple[Field, Field]:
    """Draws a thin bent bar across the picture.

    Returns:
        Its coverage and its brightness, each (size, size).
    """
    x, y = pixel_grid(size)
    angle, offset, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3), rng.uniform(-0.6, 0.6)
    along = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    across = (y - 0.5) * np.cos(angle) - (x - 0.5) * np.sin(angle) - offset - bend * along**2
    half_width = rng.uniform(0.012, 0.035)
    coverage = np.clip((half_width - np.abs(across)) * size + 0.5, 0.0, 1.0)
    return coverage, 1.0 - 0.35 * across / half_width
