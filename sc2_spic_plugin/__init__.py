"""SPIC for torchdistill, sc2bench and CompressAI: importing this package registers its parts with the hosts."""

from .version import __version__

__all__ = ["__version__"]
