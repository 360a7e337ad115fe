"""The configs: finding the shipped ones, rendering variants of one, and checking one before anything is trained."""

from .check import check_config
from .check_file import check_file
from .locate import config_root, list_configs, resolve_config
from .render import RenderedConfig, load_sweep, render_config

__all__ = [
    "RenderedConfig",
    "check_config",
    "check_file",
    "config_root",
    "list_configs",
    "load_sweep",
    "render_config",
    "resolve_config",
]
