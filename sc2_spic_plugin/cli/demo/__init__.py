"""The main job in one command: train a network and every method, measure all in real bytes, one table, one plot."""

from .comparison import Demo, run_demo
from .options import DemoOptions

__all__ = ["Demo", "DemoOptions", "run_demo"]
