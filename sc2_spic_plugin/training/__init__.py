"""Training only: the student that joins split model and estimator, and the loop that trains configs."""

from .spic_models import spic_classifier, spic_segmenter
from .student import SpicModel

__all__ = ["SpicModel", "spic_classifier", "spic_segmenter"]
