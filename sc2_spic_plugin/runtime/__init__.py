"""Exported halves of a model, run from files: needs torch and Pillow, neither sc2bench nor torchdistill."""

from .answers import class_name, class_shares, first_classes, label_map, mask_image, scores_of
from .device_half import DeviceHalf
from .manifest import Manifest
from .preprocessing import describe_transform, prepare
from .server_half import ServerHalf

__all__ = [
    "DeviceHalf",
    "Manifest",
    "ServerHalf",
    "class_name",
    "class_shares",
    "describe_transform",
    "first_classes",
    "label_map",
    "mask_image",
    "prepare",
    "scores_of",
]
