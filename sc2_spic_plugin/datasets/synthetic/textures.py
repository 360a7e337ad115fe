"""The ten surface textures: the fine, low-contrast evidence that heavy compression destroys."""

from collections.abc import Callable

import numpy as np

from .fields import Field, cells, pixel_grid, smooth_noise, standardize

__all__ = ["TEXTURES", "texture"]

TextureFunction = Callable[[np.random.Generator, int, Field, Field], Field]
"""(rng, size, u, v) -> field; u and v are turned, warped coordinates in periods of the texture."""


def _speckled(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    return np.tanh(2 * smooth_noise(rng, size, 17))


def _veined(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    return np.exp(-5 * np.abs(smooth_noise(rng, size, 8)))


def _ribbed(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    return np.sin(2 * np.pi * v)


def _scaly(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    row = np.floor(v)
    across = (u * 0.8 + 0.5 * (row % 2)) % 1.0 - 0.5
    return np.sqrt(across**2 + (0.6 * (v - row)) ** 2)


def _woven(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    return np.where(over, np.abs(np.sin(np.pi * u)), -np.abs(np.sin(np.pi * v)))


def _cracked(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    nearest, second = cells(rng, u * 0.75, v * 0.75)
    return np.minimum(second - nearest, 0.3)


def _bricked(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    row = np.floor(v)
    along = u * 0.45 + 0.5 * (row % 2)
    column = np.floor(along)
    tone = rng.random((32, 32))[row.astype(int) % 32, column.astype(int) % 32]
    edge = np.minimum(0.5 - np.abs(v - row - 0.5), (0.5 - np.abs(along - column - 0.5)) / 0.45)
    return np.minimum(edge, 0.25) * 4 + 0.4 * tone


def _grained(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    phase = v * 0.9 + 0.45 * smooth_noise(rng, size, 6)
    return np.sin(2 * np.pi * phase) * (0.6 + 0.4 * np.tanh(smooth_noise(rng, size, 9)))


def _dotted(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    wave = np.cos(2 * np.pi * u) + np.cos(np.pi * (u + 1.732 * v)) + np.cos(np.pi * (u - 1.732 * v))
    return np.tanh(wave)


def _rippled(rng: np.random.Generator, size: int, u: Field, v: Field) -> Field:
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 4.0)
    return np.sin(2 * np.pi * np.hypot(u - reach * np.cos(angle), v - reach * np.sin(angle)))


TEXTURES: dict[str, TextureFunction] = {
    "speckled": _speckled,
    "veined": _veined,
    "ribbed": _ribbed,
    "scaly": _scaly,
    "woven": _woven,
    "cracked": _cracked,
    "bricked": _bricked,
    "grained": _grained,
    "dotted": _dotted,
    "rippled": _rippled,
}
"""Texture functions by name."""


def texture(name: str, rng: np.random.Generator, size: int, centre: tuple[float, float]) -> Field:
    """Returns one texture with its own period, direction and warp, mean 0 and deviation 1, (size, size).

    Args:
        name: a key of `TEXTURES`.
        rng: where period, direction, warp and the texture's own randomness come from.
        size: height and width in pixels.
        centre: the point (x, y) in [0, 1] that the texture turns about.
    """
    x, y = pixel_grid(size)
    frequency = 1.0 / rng.uniform(0.075, 0.115)
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle) * frequency, np.sin(angle) * frequency
    bend = rng.uniform(0.0, 0.25)
    warp_u, warp_v = smooth_noise(rng, size, 3) * bend, smooth_noise(rng, size, 3) * bend
    shifted_x, shifted_y = x - centre[0], y - centre[1]
    u = shifted_x * cosine + shifted_y * sine + warp_u
    v = shifted_y * cosine - shifted_x * sine + warp_v
    return np.clip(standardize(TEXTURES[name](rng, size, u, v)), -2.5, 2.5)
