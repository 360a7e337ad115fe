"""Where the released units sit in their networks: cut, features and image size of each task and split."""

from typing import NamedTuple

from ..errors import ConfigError, nearest

__all__ = ["SPLITS", "TASKS", "SplitPoint", "split_point"]

TASKS = ("classification", "segmentation")
SPLITS = ("S1", "S2", "S3", "US1", "US2")
"""Supervised and unsupervised; the number is the split point."""

Size = tuple[int, int]


class SplitPoint(NamedTuple):
    """A place in the original network, at the image size of the published figures."""

    cut: str
    """Module whose output the unit gets."""
    in_channels: int
    """Channels C of that output."""
    feature_size: Size
    """(H, W) of that output."""
    image_size: Size
    """(H, W) of the image: what bits are divided by."""
    bypassed: bool = False
    """True if the output of the network depends on the image by other paths too."""


_IMAGENET, _COCO = (224, 224), (513, 513)
_POINTS = {
    ("classification", 1): SplitPoint("layer4.2", 2048, (7, 7), _IMAGENET),
    ("classification", 2): SplitPoint("layer4.0", 2048, (7, 7), _IMAGENET),
    ("classification", 3): SplitPoint("layer3.4", 1024, (14, 14), _IMAGENET),
    ("segmentation", 1): SplitPoint("classifier.0.convs.1", 256, (65, 65), _COCO, bypassed=True),
    ("segmentation", 2): SplitPoint("backbone.layer4.1", 2048, (65, 65), _COCO),
    ("segmentation", 3): SplitPoint("backbone.layer3.5", 1024, (65, 65), _COCO),
}


def split_point(task: str, split: str) -> SplitPoint:
    """Returns the place of a released unit.

    Args:
        task: `classification` (ResNet-50, 224 px) or `segmentation` (DeepLabv3 with ResNet-50, 513 px).
        split: `S1`, `S2`, `S3`, `US1` or `US2`.

    Raises:
        ConfigError: no such task or split.

    Source: the authors' released inference code (IntelLabs/spic, MIT).
    """
    if task not in TASKS:
        raise ConfigError(f"no unit was released for task `{task}`. {nearest(str(task), TASKS)}")
    if split not in SPLITS:
        raise ConfigError(f"no unit was released for split `{split}`. {nearest(str(split), SPLITS)}")
    return _POINTS[task, int(split[-1])]
