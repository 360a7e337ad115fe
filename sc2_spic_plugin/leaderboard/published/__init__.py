"""Published curves and units, beside what was measured here."""

from .curve import PublishedCurve
from .figure import curves_by_group
from .files import UNITS_FILE, load_figure, published_names
from .page import render_published
from .unit import facts_of, load_facts, render_facts

__all__ = [
    "UNITS_FILE",
    "PublishedCurve",
    "curves_by_group",
    "facts_of",
    "load_facts",
    "load_figure",
    "published_names",
    "render_facts",
    "render_published",
]
