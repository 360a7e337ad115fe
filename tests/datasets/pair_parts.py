"""Tiny image/mask pairs for the tests of the segmentation data sets."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int = 0, width: int = 6, height: int = 4) -> Image.Image:
    """An image of one grey that tells its number."""
    return Image.fromarray(np.full((height, width, 3), number, dtype=np.uint8))


def labels(*values: int, width: int = 6, height: int = 4) -> Image.Image:
    """A mask (mode L) that runs through the given labels."""
    return Image.fromarray(np.resize(np.array(values, dtype=np.uint8), (height, width)))


def write_pairs(root: Path, count: int = 3, **masks: Image.Image) -> Path:
    """Writes ROOT/images/NUMBER.jpg and ROOT/masks/NUMBER.png; `masks` replaces some, by name."""
    for number in range(count):
        name = f"p{number}"
        for folder in ("images", "masks"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        picture(number).save(root / "images" / f"{name}.png")
        masks.get(name, labels(0, 1, 2)).save(root / "masks" / f"{name}.png")
    return root
