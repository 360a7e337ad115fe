"""Smooth random fields and the pixel grid, the raw material of every synthetic picture."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Field", "cells", "pixel_grid", "smooth_noise", "standardize"]

Field = NDArray[np.float64]
"""One value per pixel, (H, W). Double precision keeps the rounding to 8 bits the same on every machine."""


@lru_cache(maxsize=8)
def pixel_grid(size: int) -> tuple[Field, Field]:
    """Returns the coordinates (x, y) of the pixel centres, each (size, size), in [0, 1); do not write to them."""
    centres = (np.arange(size, dtype=np.float64) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=64)
def _spline_matrix(size: int, knots: int) -> Field:
    """Returns the cubic B-spline weights (size, knots + 3) that carry knot values to pixels."""
    position = (np.arange(size, dtype=np.float64) + 0.5) / size * knots
    first = np.minimum(position.astype(int), knots - 1)
    t = position - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    matrix = np.zeros((size, knots + 3))
    for offset in range(4):
        matrix[np.arange(size), first + offset] = weights[:, offset]
    matrix.flags.writeable = False
    return matrix


def smooth_noise(rng: np.random.Generator, size: int, knots: int) -> Field:
    """Returns Gaussian noise (size, size) with about `knots` bumps per side, mean 0 and deviation near 1."""
    matrix = _spline_matrix(size, knots)
    noise: Field = matrix @ rng.standard_normal((knots + 3, knots + 3)) @ matrix.T
    return noise * 2.1  # spline smoothing leaves a deviation of about 1 / 2.1


def standardize(field: Field) -> Field:
    """Returns the field with mean 0 and deviation 1, so that no texture is darker or stronger than another."""
    centred = field - field.mean()
    return centred / (np.sqrt((centred * centred).mean()) + 1e-9)


def cells(rng: np.random.Generator, x: Field, y: Field) -> tuple[Field, Field]:
    """Returns the distances to the nearest and second nearest of randomly displaced grid points (Voronoi cells).

    Args:
        rng: where the displacements come from.
        x: coordinates in cells, (H, W).
        y: coordinates in cells, (H, W).
    """
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    displacement = rng.random((2, 32, 32)) * 0.8 + 0.1
    offset_x, offset_y = x - column, y - row
    nearest, second = np.full(x.shape, np.inf), np.full(x.shape, np.inf)
    for step_x, step_y in np.ndindex(3, 3):
        cell = (row + step_y - 1) % 32 * 32 + (column + step_x - 1) % 32
        distance = (offset_x - (step_x - 1) - displacement[0].take(cell)) ** 2
        distance += (offset_y - (step_y - 1) - displacement[1].take(cell)) ** 2
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return np.sqrt(nearest), np.sqrt(second)
