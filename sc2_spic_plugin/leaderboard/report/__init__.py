"""The report: one self-contained HTML page with plot, table, provenance and histograms; works offline."""

from .page import render_report

__all__ = ["render_report"]
