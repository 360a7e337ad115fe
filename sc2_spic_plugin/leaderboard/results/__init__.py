"""Result files: points and their provenance, curves made of them, per-image tables."""

from .collect import Collected, Source, check_agreement, collect_results
from .curve import Curve, CurvePoint, Origin, build_curves
from .curve_tables import curve_tables_path, pack_curve_tables
from .group import METRIC_NAMES, Group, group_of, group_results, grouped
from .image_table import ImageTable, image_rows, image_table, image_table_path, table_name
from .meta import SCHEMA_VERSION, Meta
from .per_image import (
    ImageRow,
    PerImageOverlap,
    PerImageRow,
    per_image_csv_path,
    read_overlap_csv,
    read_per_image_csv,
    write_per_image_csv,
)
from .point import METRICS, Point, Value, column_names
from .provenance import code_version, collect_environment, collect_versions, processor_name
from .result_file import ResultFile

__all__ = [
    "METRICS",
    "METRIC_NAMES",
    "SCHEMA_VERSION",
    "Collected",
    "Curve",
    "CurvePoint",
    "Group",
    "ImageRow",
    "ImageTable",
    "Meta",
    "Origin",
    "PerImageOverlap",
    "PerImageRow",
    "Point",
    "ResultFile",
    "Source",
    "Value",
    "build_curves",
    "check_agreement",
    "code_version",
    "collect_environment",
    "collect_results",
    "collect_versions",
    "column_names",
    "curve_tables_path",
    "group_of",
    "group_results",
    "grouped",
    "image_rows",
    "image_table",
    "image_table_path",
    "pack_curve_tables",
    "per_image_csv_path",
    "processor_name",
    "read_overlap_csv",
    "read_per_image_csv",
    "table_name",
    "write_per_image_csv",
]
