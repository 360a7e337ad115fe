"""SPIC for torchdistill, sc2bench and CompressAI: importing this package registers its parts with the hosts."""

from importlib.util import find_spec

from .version import __version__

__all__ = ["__version__"]

if all(find_spec(host) is not None for host in ("sc2bench", "torchdistill", "compressai", "torchvision")):
    import warnings

    with warnings.catch_warnings():
        # a host decorates functions with torch.jit.script, which torch deprecates: nothing a user could act on
        warnings.filterwarnings("ignore", message=".*torch.jit.script.* is deprecated", category=FutureWarning)
        from .registry import register_all

        register_all()
