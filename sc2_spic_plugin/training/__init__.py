"""Training only: the student that joins split model and estimator, and the loop that trains configs."""

from .student import SpicModel, spic_classifier, spic_segmenter

__all__ = ["SpicModel", "spic_classifier", "spic_segmenter"]
