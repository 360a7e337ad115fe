"""An embedded, deterministic set of photograph-like pictures for demos, smoke runs and tests."""

from .folder import write_image_folder
from .images import SPLITS, SyntheticImages
from .scene import CLASSES

__all__ = ["CLASSES", "SPLITS", "SyntheticImages", "write_image_folder"]
