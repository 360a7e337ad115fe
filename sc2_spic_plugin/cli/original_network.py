"""Which original network a result is about: its name and the digest of its tensors."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..models import SplitModel, build_network
from ..models.frozen import frozen_state
from ..ops import tensors_digest
from ..training.build import BuiltConfig

__all__ = ["original_network"]

_WRAPPED = ("classification_model", "segmentation_model")


def original_network(built: BuiltConfig) -> tuple[str, str]:
    """Returns name and digest of the network that was split, imitated, fed with decoded images, or measured itself."""
    model, config = built.model, built.model_config
    if isinstance(model, SplitModel):
        return _name(config), bytes(model.network_digest.tolist()).hex()
    if built.teacher is not None:
        return _name(built.config["models"]["teacher_model"]), _digest(built.teacher)
    wrapped = next((config[key] for key in _WRAPPED if key in config), config)
    network = (wrapped.get("kwargs") or {}).get("network")
    if network is not None:  # by its weights, whatever the model made of it
        return _name(wrapped), _digest(build_network(network, built.task))
    for key in _WRAPPED:
        if key in config:
            return _name(wrapped), _digest(getattr(model, key))
    return _name(config), _digest(model)


def _name(config: Mapping[str, Any]) -> str:
    """Returns the key of a model config's network, with that of its backbone where the network is made of two."""
    network = (config.get("kwargs") or {}).get("network", config)
    backbone = (network.get("kwargs") or {}).get("backbone_config")
    return str(network["key"]) + (f" ({backbone['key']})" if isinstance(backbone, Mapping) else "")


def _digest(network: nn.Module) -> str:
    return tensors_digest(frozen_state(network) or network.state_dict())
