"""One synthetic scene with its mask: a backdrop, ground, and several bodies that stand on it and hide each other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...ops import VOID_LABEL
from .camera import photograph
from .fields import Field, pixel_grid, smooth_noise
from .painting import muted_colour, paint, twig
from .silhouettes import Placement, silhouette
from .textures import texture

__all__ = ["BODIES", "STUFF", "render_scene"]

STUFF = ("backdrop", "ground")
"""The classes that every scene has: labels 0 and 1."""

BODIES: dict[str, tuple[str, str]] = {
    "ribbed_leaf": ("leaf", "ribbed"),
    "woven_star": ("star", "woven"),
    "bricked_shard": ("shard", "bricked"),
    "dotted_ring": ("ring", "dotted"),
    "speckled_pebble": ("pebble", "speckled"),
    "scaly_leaf": ("leaf", "scaly"),
    "cracked_star": ("star", "cracked"),
    "grained_shard": ("shard", "grained"),
    "rippled_ring": ("ring", "rippled"),
    "veined_pebble": ("pebble", "veined"),
}
"""Outline and texture of the bodies, labels 2 and on: five outlines, then the same outlines with another texture."""


_GROUND_TEXTURES = ("veined", "grained", "rippled")


class _Frame(NamedTuple):
    """What is seen of the unit square: sides in pixels, left and upper edge in pixels, pixels per unit."""

    height: int
    width: int
    left: int
    top: int
    side: int

    @property
    def short(self) -> int:
        return min(self.height, self.width)


class _Body(NamedTuple):
    """Where a body stands: its centre in picture pixels, its radius in pixels, and its class."""

    x: float
    y: float
    radius: float
    label: int


def render_scene(
    rng: np.random.Generator, height: int, width: int, bodies: int, certain: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Renders one scene.

    Args:
        rng: the only source of randomness.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        bodies: how many of `BODIES` there are to choose from.
        certain: the index of the body that stands nearest, hidden by no other.

    Returns:
        The picture (height, width, 3), RGB, and its mask (height, width); labels 0 and 1 are `STUFF`, 2 and on
        `BODIES`, 255 void.
    """
    side = max(height, width)
    frame = _Frame(height, width, (side - width) // 2, (side - height) // 2, side)
    scene, mask = _landscape(rng, frame)
    light = rng.uniform(0, 2 * np.pi)
    for body in _arrange(rng, frame, bodies, certain):
        scene = _stand(rng, frame, scene, mask, body, light)
    if rng.random() < 0.25:
        coverage, brightness = twig(rng, side)
        scene = paint(scene, coverage, muted_colour(rng), brightness)
        mask[coverage > 0.02] = VOID_LABEL
    picture = photograph(rng, scene * (1.0 + rng.uniform(0.0, 0.12) * smooth_noise(rng, side, 3)))
    rows, columns = slice(frame.top, frame.top + height), slice(frame.left, frame.left + width)
    return np.ascontiguousarray(picture[rows, columns]), np.ascontiguousarray(mask[rows, columns])


def _landscape(rng: np.random.Generator, frame: _Frame) -> tuple[Field, NDArray[np.uint8]]:
    """Returns colours (3, side, side) and mask of backdrop and ground, with small stones that belong to the ground."""
    side = frame.side
    x, y = pixel_grid(side)
    far = (muted_colour(rng), muted_colour(rng))
    blend = np.clip(0.5 + rng.uniform(0.3, 1.0) * (y - 0.4) + 0.2 * smooth_noise(rng, side, 4), 0, 1)
    backdrop = (far[0] + blend * (far[1] - far[0])) * (1.0 + rng.uniform(0.0, 0.04) * smooth_noise(rng, side, 20))

    surface = texture(_GROUND_TEXTURES[rng.integers(len(_GROUND_TEXTURES))], rng, side, (0.5, 0.5))
    roughness = rng.uniform(0.03, 0.1) * surface + rng.uniform(0.02, 0.06) * smooth_noise(rng, side, 24)
    ground = muted_colour(rng) * (1.0 + roughness + rng.uniform(-0.2, 0.3) * (y - 0.6))

    horizon = (frame.top + frame.height * rng.uniform(0.28, 0.45)) / side
    edge = horizon + rng.uniform(-0.12, 0.12) * (x - 0.5) + 0.015 * smooth_noise(rng, side, 5)
    coverage = np.clip((y - edge) * side + 0.5, 0.0, 1.0)
    scene = backdrop + coverage * (ground - backdrop)
    for _ in range(rng.integers(2, 7)):
        _lay_stone(rng, scene, coverage, rng.uniform(horizon + 0.05, 1.0))
    return scene, (coverage >= 0.5).astype(np.uint8)


def _lay_stone(rng: np.random.Generator, scene: Field, ground: Field, down: float) -> None:
    """Lays a small plain stone on the ground, at a height in units of the side; it stays ground in the mask."""
    side = scene.shape[-1]
    across, reach = rng.random(), rng.uniform(0.012, 0.03)
    extent = 2 * int(reach * side) + 6
    seen, _ = _overlap(side, extent, round(across * side - extent / 2), round(down * side - extent / 2))
    x, y = (axis[seen] for axis in pixel_grid(side))
    level = 1.0 - np.hypot((x - across) / reach, (y - down) / (0.7 * reach))
    shade = 0.8 + 0.35 * np.clip(level, 0, 1) - 0.3 * (y - down) / reach
    coverage = np.clip(level * reach * side + 0.5, 0, 1) * ground[seen]
    scene[:, *seen] = paint(scene[:, *seen], coverage, muted_colour(rng), shade)


def _arrange(rng: np.random.Generator, frame: _Frame, bodies: int, certain: int) -> list[_Body]:
    """Returns three to six bodies from far and small to near and large, the certain one last."""
    near = np.sort(rng.uniform(0.0, 0.85, rng.integers(2, 6)))
    found: list[_Body] = []
    for depth in [*near, rng.uniform(0.85, 1.0)]:
        last = len(found) == len(near)
        radius = frame.short * (0.11 + 0.12 * depth) * np.exp(rng.normal(0.0, 0.1))
        margin = radius / frame.width if last else 0.02
        x = frame.left + frame.width * rng.uniform(margin, 1.0 - margin)
        y = frame.top + frame.height * (0.38 + 0.38 * depth) + frame.short * rng.uniform(-0.05, 0.05)
        label = len(STUFF) + (certain if last else int(rng.integers(bodies)))
        found.append(_Body(x, y, radius, label))
    return found


def _stand(
    rng: np.random.Generator, frame: _Frame, scene: Field, mask: NDArray[np.uint8], body: _Body, light: float
) -> Field:
    """Puts one body and its shadow into the scene, and its label with a void border into the mask.

    The body is drawn in a square of its own, so that its cost and the fineness of its texture do not depend on where
    it stands.
    """
    outline, surface_name = list(BODIES.values())[body.label - len(STUFF)]
    side = max(16, round(0.8 * frame.short))
    left, top = round(body.x - side / 2), round(body.y - side / 2)
    inside = Placement(
        (body.x - left) / side,
        (body.y - top) / side,
        body.radius / side,
        rng.uniform(0.85, 1.18),
        rng.uniform(0, 2 * np.pi),
    )
    coverage, level = silhouette(outline, rng, side, inside)
    surface = texture(surface_name, rng, side, (inside.x, inside.y))
    x, y = pixel_grid(side)
    facing = ((x - inside.x) * np.cos(light) + (y - inside.y) * np.sin(light)) / inside.radius
    shading = 0.85 + 0.25 * np.sqrt(np.clip(level, 0, 1)) + rng.uniform(0.05, 0.25) * facing
    shading *= 1.0 + rng.uniform(0.12, 0.28) * surface
    colour, darkness = muted_colour(rng), rng.uniform(0.2, 0.5)

    reach = 0.35 * body.radius
    shadow_left, shadow_top = left - round(reach * np.cos(light)), top + round(0.4 * reach)
    seen, part = _overlap(frame.side, side, shadow_left, shadow_top)
    scene[:, *seen] *= 1.0 - darkness * coverage[part]
    seen, part = _overlap(frame.side, side, left, top)
    scene[:, *seen] = paint(scene[:, *seen], coverage[part], colour, shading[part])
    label = np.where(coverage[part] > 0.98, body.label, VOID_LABEL)
    mask[seen] = np.where(coverage[part] > 0.02, label, mask[seen])
    return scene


def _overlap(whole: int, side: int, left: int, top: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Returns (rows, columns) of the whole, and of a square laid over it, where the two overlap."""
    first_x, first_y = max(left, 0), max(top, 0)
    last_x, last_y = max(min(left + side, whole), first_x), max(min(top + side, whole), first_y)
    return (
        (slice(first_y, last_y), slice(first_x, last_x)),
        (slice(first_y - top, last_y - top), slice(first_x - left, last_x - left)),
    )
