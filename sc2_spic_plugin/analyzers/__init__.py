"""Analyzers for sc2bench's analysis interface."""

from .sizes import ImageSizes, SpicSizeAnalyzer

__all__ = ["ImageSizes", "SpicSizeAnalyzer"]
