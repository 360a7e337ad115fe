"""Analyzers for sc2bench's analysis interface."""

from .sizes import ImageSizes, SpicSizeAnalyzer, further_columns

__all__ = ["ImageSizes", "SpicSizeAnalyzer", "further_columns"]
