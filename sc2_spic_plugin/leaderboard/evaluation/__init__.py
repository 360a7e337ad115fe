"""A model measured on the reported images: accuracy of what was decoded, and the bytes it took."""

from .classification_metric import ClassificationMetric
from .metric import Evaluation, Metric
from .model import build_metric, evaluate, evaluate_units
from .segmentation_metric import SegmentationMetric

__all__ = [
    "ClassificationMetric",
    "Evaluation",
    "Metric",
    "SegmentationMetric",
    "build_metric",
    "evaluate",
    "evaluate_units",
]
