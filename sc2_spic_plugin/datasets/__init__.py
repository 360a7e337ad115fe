"""Image sets: synthetic pictures, folders with and without classes, and the split that selects checkpoints."""

from .checked_folder import CheckedImageFolder
from .flat_folder import NO_LABEL, FlatImageFolder
from .reading import IMAGE_EXTENSIONS
from .subset import HeldOut
from .synthetic import SyntheticImages, write_image_folder

__all__ = [
    "IMAGE_EXTENSIONS",
    "NO_LABEL",
    "CheckedImageFolder",
    "FlatImageFolder",
    "HeldOut",
    "SyntheticImages",
    "write_image_folder",
]
