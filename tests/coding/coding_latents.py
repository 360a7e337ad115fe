"""Synthetic latents with the statistics of rectified, quantised features."""

import numpy as np


def sparse_latents(
    count: int, channels: int, height: int, width: int, seed: int = 0, position_spread: float = 0.0
) -> np.ndarray:
    """Returns (count, C, h, w) int32: zero with a probability of its own per channel, otherwise geometric.

    Args:
        count: latents.
        channels: C.
        height: h.
        width: w.
        seed: of the statistics and the draws.
        position_spread: how much the statistics differ between positions (standard deviation in log-odds).
    """
    rng = np.random.default_rng(seed)
    shape = (channels, height, width)
    log_odds = rng.normal(1.5, 1.2, (channels, 1, 1)) + rng.normal(0, 1, shape) * position_spread
    zero = 1 / (1 + np.exp(-log_odds))
    tail = np.clip(1 / (1 + np.exp(rng.normal(0, 1, (channels, 1, 1)))), 0.1, 0.97)
    is_zero = rng.random((count, *shape)) < zero
    return np.where(is_zero, 0, rng.geometric(np.broadcast_to(tail, (count, *shape)))).astype(np.int32)


def grouped_latents(count: int, shape: tuple[int, int, int], kinds: int = 4, seed: int = 0) -> np.ndarray:
    """Returns (count, C, h, w) int32 of several kinds of images, each with statistics of its own.

    Args:
        count: latents.
        shape: (C, h, w).
        kinds: how many.
        seed: of which image is of which kind.
    """
    of_kinds = [sparse_latents(count, *shape, seed=kind, position_spread=1.5) for kind in range(kinds)]
    chosen = np.random.default_rng(seed).integers(kinds, size=count)
    return np.stack(of_kinds)[chosen, np.arange(count)]
