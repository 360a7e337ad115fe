"""Cutting a network, freezing it, and the model that encodes and decodes at the cut."""

from .cut import CutNetwork, cut_network
from .encoded_batch import EncodedBatch
from .entropic_student import EntropicStudent, spic_entropic_student
from .entropic_student_segmenter import EntropicStudentSegmenter, spic_entropic_student_segmenter
from .frozen import freeze_network
from .network import build_network
from .neural_input import NeuralInputClassifier, spic_neural_input
from .split_model import SplitModel
from .teacher import spic_eval_teacher
from .unit_files import UnitFiles, drop_unit, export_unit, load_unit

__all__ = [
    "CutNetwork",
    "EncodedBatch",
    "EntropicStudent",
    "EntropicStudentSegmenter",
    "NeuralInputClassifier",
    "SplitModel",
    "UnitFiles",
    "build_network",
    "cut_network",
    "drop_unit",
    "export_unit",
    "freeze_network",
    "load_unit",
    "spic_entropic_student",
    "spic_entropic_student_segmenter",
    "spic_eval_teacher",
    "spic_neural_input",
]
