"""A suite run as jobs: planned, some at a time in processes of their own, resumed, collected into result files."""

from .command import bench

__all__ = ["bench"]
