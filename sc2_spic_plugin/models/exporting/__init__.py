"""A model written as two halves that run from files."""

from .halves import ExportedHalves, add_units, export_halves

__all__ = ["ExportedHalves", "add_units", "export_halves"]
