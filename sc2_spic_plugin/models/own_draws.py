"""Initial weights that depend on the process's seed and a unit's name, not on what else is built."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["draw_base", "own_draws"]


def draw_base() -> int:
    """Draws one number from torch's default generator; all that a bank's parts draw follows from it."""
    return int(torch.randint(2**62, ()))


@contextmanager
def own_draws(base: int, name: str) -> Iterator[None]:
    """Makes what is built inside draw from a stream of its own, so that a unit begins in a bank as it would alone.

    Args:
        base: what `draw_base` returned.
        name: of the part.
    """
    seed = int.from_bytes(hashlib.sha256(f"{base}/{name}".encode()).digest()[:7])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
