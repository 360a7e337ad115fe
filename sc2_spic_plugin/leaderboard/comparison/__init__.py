"""Methods against each other: rate at equal accuracy, Bjøntegaard deltas, trade-off, latency over a link."""

from .comparison import Comparison, compare_all
from .render import comparison_document, render_comparison
from .tables import ComparisonTable, comparison_tables

__all__ = [
    "Comparison",
    "ComparisonTable",
    "compare_all",
    "comparison_document",
    "comparison_tables",
    "render_comparison",
]
