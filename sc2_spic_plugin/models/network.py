"""Building the original network and loading its weights, strictly and without unpickling code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError, nearest
from .arguments import check_keys

__all__ = ["NETWORK_KEYS", "build_network", "load_torch_file", "load_weights", "read_state_dict"]

NETWORK_KEYS = ("key", "kwargs", "src_ckpt", "repo_or_dir")
"""What `network` may hold in a config."""


def build_network(config: Mapping[str, Any], task: str = "classification") -> nn.Module:
    """Builds the network that is split, in eval mode, with its weights.

    Args:
        config: `key` (a torchvision or timm model name, or anything registered with torchdistill), `kwargs` for it,
            and optionally `src_ckpt`, a `.safetensors` or PyTorch file with its weights (half precision is widened).
        task: `classification` or `segmentation`. A segmentation network of torchvision gets no separate backbone
            weights, which torchvision would download, unless `kwargs` asks for them.

    Raises:
        ConfigError: an unknown key, network name or task.
        CheckpointError: the weights are missing or belong to another network.

    In a config:

        network:
          key: 'resnet50'
          kwargs: {num_classes: 10}
          src_ckpt: './resource/resnet50_imagenette.safetensors'
    """
    if task not in _LOADERS:
        raise ConfigError(f"unknown task `{task}`. {nearest(task, _LOADERS)}")
    check_keys(config, NETWORK_KEYS, "`network`")
    if "key" not in config:
        raise ConfigError("`network` needs a `key`: the name of a torchvision or timm model, e.g. 'resnet50'.")
    host_config = {key: value for key, value in config.items() if key != "src_ckpt"}
    host_config["kwargs"] = dict(config.get("kwargs") or {})
    try:
        network = _LOADERS[task](host_config)
    except URLError as error:
        raise CheckpointError(
            f"the weights of `{config['key']}` cannot be downloaded: {error.reason}. Give a file as `src_ckpt` and set "
            "`weights` to null, or go on where the network can be reached."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        if _is_known(config["key"]):
            raise ConfigError(f"`{config['key']}` cannot be built with {host_config['kwargs']}: {error}.") from error
        raise ConfigError(f"unknown network `{config['key']}`. {nearest(config['key'], _known_networks())}") from error
    if config.get("src_ckpt"):
        load_weights(network, config["src_ckpt"])
    return network.eval()


def _load_classifier(config: dict[str, Any]) -> nn.Module:
    from sc2bench.models.registry import load_classification_model

    return load_classification_model(config, torch.device("cpu"), False)


def _load_segmenter(config: dict[str, Any]) -> nn.Module:
    from sc2bench.models.segmentation.registry import load_segmentation_model
    from torchvision.models import segmentation

    if config["key"] in segmentation.__dict__:
        config["kwargs"].setdefault("weights_backbone", None)
    return load_segmentation_model(config, torch.device("cpu"))


_LOADERS = {"classification": _load_classifier, "segmentation": _load_segmenter}


def _known_networks() -> list[str]:
    import torchvision
    from sc2bench.models.segmentation.registry import SEGMENTATION_MODEL_FUNC_DICT

    return [*torchvision.models.list_models(), *SEGMENTATION_MODEL_FUNC_DICT]


def _is_known(key: str) -> bool:
    import timm
    import torchvision
    from sc2bench.models.segmentation.registry import SEGMENTATION_MODEL_FUNC_DICT

    known = (torchvision.models.__dict__, torchvision.models.segmentation.__dict__, timm.models.__dict__)
    return any(key in names for names in (*known, SEGMENTATION_MODEL_FUNC_DICT))


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Loads a whole state dict into the network, in place.

    Raises:
        CheckpointError: the file is missing, damaged, or holds other tensors than the network's.
    """
    path = Path(path).expanduser()
    state = read_state_dict(path)
    own = network.state_dict()
    state = {name: value.to(own[name].dtype) if name in own else value for name, value in state.items()}
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        missing, unexpected = sorted(set(own) - set(state)), sorted(set(state) - set(own))
        detail = (
            f"{len(missing)} tensors missing ({', '.join(missing[:3])}), {len(unexpected)} unexpected"
            if (missing or unexpected)
            else str(error).splitlines()[-1].strip()
        )
        raise CheckpointError(
            f"{path} does not hold the weights of this {type(network).__name__}: {detail}. "
            "Check `key` and `kwargs` (e.g. num_classes) under `network`, or `src_ckpt`."
        ) from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads named tensors from a `.safetensors` file or a PyTorch checkpoint (`model` or `state_dict` inside).

    Raises:
        CheckpointError: the file is missing or damaged, or is no table of tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; check the path, or train it first.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = load_torch_file(path)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({error}); fetch or train it again.") from error
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds no state dict; expected named tensors, or a dict with `model`.")
    return content


def load_torch_file(path: Path) -> Any:
    """Reads a PyTorch file with `weights_only=True`; the host scripts' `argparse.Namespace` is let through."""
    import argparse

    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)
