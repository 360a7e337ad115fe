"""Small operations every other part builds on; needs torch and numpy only."""

from .digest import file_digest, tensors_digest
from .files import write_atomic
from .labels import VOID_LABEL
from .rounding import add_uniform_noise, round_straight_through

__all__ = [
    "VOID_LABEL",
    "add_uniform_noise",
    "file_digest",
    "round_straight_through",
    "tensors_digest",
    "write_atomic",
]
