"""Cutting a network, freezing it, and the model that encodes and decodes at the cut."""

from .cut import CutNetwork, cut_network
from .entropic_student import EntropicStudent, spic_entropic_student
from .frozen import freeze_network
from .network import build_network
from .split_model import EncodedBatch, SplitModel
from .teacher import spic_eval_teacher

__all__ = [
    "CutNetwork",
    "EncodedBatch",
    "EntropicStudent",
    "SplitModel",
    "build_network",
    "cut_network",
    "freeze_network",
    "spic_entropic_student",
    "spic_eval_teacher",
]
