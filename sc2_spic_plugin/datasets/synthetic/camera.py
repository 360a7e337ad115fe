"""What a camera does to a scene: exposure, colour cast, vignette, blur and sensor noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from .fields import Field, pixel_grid

__all__ = ["photograph"]


def photograph(rng: np.random.Generator, scene: Field) -> NDArray[np.uint8]:
    """Takes a picture of a scene.

    Args:
        rng: where exposure, cast, blur and noise come from.
        scene: colours (3, H, W), about 0 to 1.

    Returns:
        The picture (H, W, 3), 8 bits a channel.
    """
    size = scene.shape[-1]
    x, y = pixel_grid(size)
    gain = np.exp(rng.normal(0.0, 0.12)) * np.exp(rng.normal(0.0, 0.06, (3, 1, 1)))
    vignette = 1.0 - rng.uniform(0.0, 0.5) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    picture = scene * (gain * vignette)
    sigma = rng.uniform(0.3, 0.7) * size / 64
    picture = gaussian_filter1d(gaussian_filter1d(picture, sigma, axis=1, truncate=3), sigma, axis=2, truncate=3)
    contrast, middle = np.exp(rng.normal(0.0, 0.08)), 0.45
    picture = (picture - middle) * contrast + middle
    brightness_noise = rng.standard_normal((size, size)) * rng.uniform(0.004, 0.02)
    colour_noise = rng.standard_normal((3, size, size)) * rng.uniform(0.002, 0.01)
    picture = picture + brightness_noise + colour_noise
    return np.ascontiguousarray(np.clip(np.rint(picture * 255.0), 0, 255).astype(np.uint8).transpose(1, 2, 0))
