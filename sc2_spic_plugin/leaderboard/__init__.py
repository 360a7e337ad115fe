"""The leaderboard: protocols, result files, statistics, tables, plots and image-codec baselines."""

from .codecs import CODECS, CodecPoint, CodedImage, RawFeature, unavailable_reason
from .comparison import Comparison, compare_all, comparison_document, render_comparison
from .drawing import check_plot_path, plot_rate_accuracy
from .preparation import check_transform
from .protocol import Protocol, TimingRules, load_protocol, protocol_names
from .published import PublishedCurve
from .results import (
    Collected,
    Group,
    Meta,
    PerImageOverlap,
    PerImageRow,
    Point,
    ResultFile,
    Source,
    code_version,
    collect_environment,
    collect_results,
    collect_versions,
    group_of,
    group_results,
    per_image_csv_path,
    read_overlap_csv,
    read_per_image_csv,
    write_per_image_csv,
)
from .statistics import bootstrap_interval, bpp_at_accuracy, pareto_front, summarise
from .styles import MethodStyle, method_style
from .tables import render_console, render_csv, render_markdown

__all__ = [
    "CODECS",
    "CodecPoint",
    "CodedImage",
    "Collected",
    "Comparison",
    "Group",
    "Meta",
    "MethodStyle",
    "PerImageOverlap",
    "PerImageRow",
    "Point",
    "Protocol",
    "PublishedCurve",
    "RawFeature",
    "ResultFile",
    "Source",
    "TimingRules",
    "bootstrap_interval",
    "bpp_at_accuracy",
    "check_plot_path",
    "check_transform",
    "code_version",
    "collect_environment",
    "collect_results",
    "collect_versions",
    "compare_all",
    "comparison_document",
    "group_of",
    "group_results",
    "load_protocol",
    "method_style",
    "pareto_front",
    "per_image_csv_path",
    "plot_rate_accuracy",
    "protocol_names",
    "read_overlap_csv",
    "read_per_image_csv",
    "render_comparison",
    "render_console",
    "render_csv",
    "render_markdown",
    "summarise",
    "unavailable_reason",
    "write_per_image_csv",
]
