"""Other people's numbers as result files: as reported, marked as not measured here, under a protocol that is named."""

from .detect import FORMATS, detect_format, read_reported
from .reported import ReportedCurve, ReportedPoint, Standing, as_result, check_samples

__all__ = [
    "FORMATS",
    "ReportedCurve",
    "ReportedPoint",
    "Standing",
    "as_result",
    "check_samples",
    "detect_format",
    "read_reported",
]
