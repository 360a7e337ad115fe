"""The main job in one command: train a network and every method, measure all in real bytes, one table, one plot."""

from .comparison import run_demo
from .options import DemoOptions

__all__ = ["DemoOptions", "run_demo"]
