"""The original network of a task: torchvision's weights, or a file's, whose sizes say how to build it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CheckpointError, ConfigError
from ..models.network import read_state_dict

__all__ = ["network_config", "networks_by_task"]


class _Network(NamedTuple):
    """A torchvision network and where its number of classes shows."""

    key: str
    weights: str
    head: str


_NETWORKS = {
    "classification": _Network("resnet50", "IMAGENET1K_V1", "fc.weight"),
    "segmentation": _Network("deeplabv3_resnet50", "COCO_WITH_VOC_LABELS_V1", "classifier.4.weight"),
}


def network_config(task: str, weights: Path | None = None) -> dict[str, Any]:
    """Returns `network` of a config: ResNet-50 for classification, DeepLabv3 with ResNet-50 for segmentation.

    Args:
        task: `classification` or `segmentation`.
        weights: a `.safetensors` or PyTorch file; None for the weights that the released units were trained with.

    Raises:
        CheckpointError: the file is missing, damaged or of another network.
    """
    network = _NETWORKS[task]
    if weights is None:
        classes = 1000 if task == "classification" else 21
        return {"key": network.key, "kwargs": {"num_classes": classes, "weights": network.weights}}
    state = read_state_dict(weights)
    if network.head not in state:
        raise CheckpointError(
            f"{weights} holds no `{network.head}`, so no {network.key}: give the weights of that network."
        )
    kwargs: dict[str, Any] = {"num_classes": int(state[network.head].shape[0]), "weights": None}
    if task == "segmentation":
        kwargs |= {"weights_backbone": None, "aux_loss": any(name.startswith("aux_classifier.") for name in state)}
    return {"key": network.key, "kwargs": kwargs, "src_ckpt": str(weights.resolve())}


def networks_by_task(paths: Iterable[Path]) -> dict[str, Path]:
    """Returns which file holds the network of which task, by the names of the tensors.

    Raises:
        CheckpointError: a file holds neither network.
        ConfigError: two files for one task.
    """
    found: dict[str, Path] = {}
    for path in paths:
        names = set(read_state_dict(path))
        task = next((task for task, network in _NETWORKS.items() if network.head in names), None)
        if task is None:
            known = " or ".join(network.key for network in _NETWORKS.values())
            raise CheckpointError(f"{path} holds no weights of {known}: give those of the network to split.")
        if task in found:
            raise ConfigError(f"{found[task]} and {path} both hold a network for {task}; give one of them.")
        found[task] = path
    return found
