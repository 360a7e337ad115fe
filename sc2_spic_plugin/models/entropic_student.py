"""sc2bench's Entropic Student, built on the same network weights as every other method of a comparison."""

import inspect
from collections.abc import Mapping
from typing import Any

from sc2bench.models.backbone import SplittableResNet
from sc2bench.models.layer import LAYER_CLASS_DICT, LAYER_FUNC_DICT, get_layer
from torch import Tensor, nn

from ..errors import ConfigError, nearest
from .arguments import check_keys
from .network import build_network

__all__ = ["EntropicStudent", "build_bottleneck", "fit_coder_tables", "spic_entropic_student"]

_CODER_BUFFERS = ("_offset", "_quantized_cdf", "_cdf_length", "scale_table")


class EntropicStudent(SplittableResNet):
    """`SplittableResNet` that loads a checkpoint made before its entropy bottleneck was updated.

    sc2bench's script keeps the checkpoint with the best validation accuracy. If that was one from before
    `epoch_to_update`, its coder tables are empty, and loading it into the model, whose tables are not, fails on their
    shapes. Emptying them first is all it takes: the script calls `update()` afterwards and builds them anew.
    """

    def load_state_dict(self, state_dict: dict[str, Any], **kwargs: Any) -> None:
        """Loads a checkpoint; see the class."""
        fit_coder_tables(self.bottleneck_layer, state_dict, "bottleneck_layer.")
        super().load_state_dict(state_dict, **kwargs)


def fit_coder_tables(bottleneck: nn.Module, state_dict: Mapping[str, Any], prefix: str) -> None:
    """Gives the coder tables of a bottleneck the shapes that they have in a checkpoint, where it has them.

    Args:
        bottleneck: the layer, changed in place.
        state_dict: the checkpoint's tensors.
        prefix: what the bottleneck's names start with there, with its last point.
    """
    for name, module in bottleneck.named_modules():
        for buffer in _CODER_BUFFERS:
            path = ".".join(part for part in (name, buffer) if part)
            saved, own = state_dict.get(prefix + path), getattr(module, buffer, None)
            if isinstance(saved, Tensor) and isinstance(own, Tensor) and saved.shape != own.shape:
                setattr(module, buffer, own.new_empty(saved.shape))


def build_bottleneck(config: Mapping[str, Any], layer2: nn.Module) -> nn.Module:
    """Builds a bottleneck of sc2bench that replaces what comes before `layer2` of a ResNet, or more of it.

    Args:
        config: `key` and `kwargs`; `num_target_channels` follows from the network where the bottleneck takes it.
        layer2: the network's second stage.

    Raises:
        ConfigError: an unknown bottleneck or key.
    """
    check_keys(config, ("key", "kwargs"), "`bottleneck_config`")
    if "key" not in config:
        raise ConfigError("`bottleneck_config` needs a `key`: the name of one of sc2bench's bottlenecks.")
    known = {**LAYER_CLASS_DICT, **LAYER_FUNC_DICT}
    if config["key"] not in known:
        raise ConfigError(f"unknown bottleneck `{config['key']}`. {nearest(config['key'], known)}")
    options = dict(config.get("kwargs") or {})
    if "num_target_channels" in inspect.signature(known[config["key"]]).parameters:
        options = {"num_target_channels": next(layer2.parameters()).shape[1], **options}
    return get_layer(config["key"], **options)


def spic_entropic_student(
    network: Mapping[str, Any],
    bottleneck_config: Mapping[str, Any],
    analysis_config: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> EntropicStudent:
    """Builds an Entropic Student whose layers behind the bottleneck start from `network` (a ResNet).

    `num_target_channels` of the bottleneck follows from the network.

        student_model:
          key: 'spic_entropic_student'
          kwargs:
            network: {key: 'resnet50', kwargs: {num_classes: 10}, src_ckpt: 'resnet50.safetensors'}
            bottleneck_config:
              key: 'FPBasedResNetBottleneck'
              kwargs: {num_bottleneck_channels: 24}

    Raises:
        ConfigError: an unknown bottleneck.

    Source: Matsubara et al., "Supervised Compression for Resource-Constrained Edge Computing Systems", WACV 2022.
    """
    original = build_network(network)
    layer = build_bottleneck(bottleneck_config, original.get_submodule("layer2"))
    kwargs = {"skips_avgpool": False, "skips_fc": False, **kwargs}
    return EntropicStudent(layer, original, analysis_config=analysis_config, **kwargs)
