"""Whether a committed point holds: every image measured as before, or a new training within the stated spread."""

from .exact import ExactCheck, check_exactly, check_images
from .point_name import UNITS, find_point, shipped_unit_path
from .retrained import RetrainedCheck, check_retrained

__all__ = [
    "UNITS",
    "ExactCheck",
    "RetrainedCheck",
    "check_exactly",
    "check_images",
    "check_retrained",
    "find_point",
    "shipped_unit_path",
]
