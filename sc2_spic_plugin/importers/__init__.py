"""The authors' released units: found, read without running anything in them, checked, and loaded as ours."""

from .check import CheckRow, check_rows
from .convert import ConvertedUnit, convert_published_units
from .expected_rate import ExpectedRate, expected_rate, table_images
from .find import PublishedUnits, SkippedUnit, find_published_units
from .frequencies import read_frequencies
from .load import load_published_unit
from .oddities import oddities
from .prior import prior_is_untrained
from .published import PublishedUnit, single_published_unit
from .split_points import SPLITS, TASKS, SplitPoint, split_point
from .weights import PublishedWeights, read_published_weights

__all__ = [
    "SPLITS",
    "TASKS",
    "CheckRow",
    "ConvertedUnit",
    "ExpectedRate",
    "PublishedUnit",
    "PublishedUnits",
    "PublishedWeights",
    "SkippedUnit",
    "SplitPoint",
    "check_rows",
    "convert_published_units",
    "expected_rate",
    "find_published_units",
    "load_published_unit",
    "oddities",
    "prior_is_untrained",
    "read_frequencies",
    "read_published_weights",
    "single_published_unit",
    "split_point",
    "table_images",
]
