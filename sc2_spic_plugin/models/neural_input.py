"""A neural codec of compressai on the input of the frozen network, trained and measured by one config."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compressai.models import CompressionModel
from sc2bench.models.backbone import UpdatableBackbone
from sc2bench.models.registry import COMPRESSAI_DICT, get_compression_model
from sc2bench.models.wrapper import NeuralInputCompressionClassifier
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError, nearest
from .arguments import check_keys
from .entropic_student import fit_coder_tables
from .frozen import freeze_network
from .network import build_network, read_state_dict

__all__ = ["NeuralInputClassifier", "spic_neural_input"]

CODEC = "compression_model"


class NeuralInputClassifier(NeuralInputCompressionClassifier, UpdatableBackbone):
    """sc2bench's model for neural codecs on the input, which can also train the codec.

        image -> pre_transform -> compression_model -> bytes -> compression_model -> post_transform -> network -> output

    The hosts build the coder's tables of such a model once, before its weights are trained, and never again. Here they
    are built by `update()`, as those of Entropic Student; until then images pass the codec without bytes. The network
    is frozen and not part of the checkpoint. A training stage trains the codec alone, without a label:
    `sequential: ['pre_transform', 'compression_model']`.
    """

    compression_model: CompressionModel

    def forward(self, x: Tensor) -> Tensor:
        """Returns the network's output (B, classes) for images (B, 3, H, W) with values from 0 to 1."""
        if self.bottleneck_updated and not self.training:
            return super().forward(x)
        x = x if self.pre_transform is None else self.pre_transform(x)
        x = self.compression_model(x)["x_hat"]
        return self.classification_model(x if self.post_transform is None else self.post_transform(x))

    def update(self, **kwargs: Any) -> None:
        """Builds the coder's tables; from then on eval-mode `forward` goes through real bytes."""
        self.compression_model.update(force=True)  # else tables of other weights would be kept
        self.bottleneck_updated = True

    def get_aux_module(self, **kwargs: Any) -> CompressionModel:
        """Returns the codec: the quantiles of its factorised prior learn by its `aux_loss`."""
        return self.compression_model

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint, whether the coder's tables were built when it was made or not."""
        fit_coder_tables(self.compression_model, state_dict, f"{CODEC}.")
        return super().load_state_dict(state_dict, *args, **kwargs)


def spic_neural_input(
    network: Mapping[str, Any],
    compression_model: Mapping[str, Any],
    pre_transform: Callable[[Tensor], Tensor] | None = None,
    post_transform: Callable[[Tensor], Tensor] | None = None,
    analysis_config: Mapping[str, Any] | None = None,
    uses_cpu4compression_model: bool = False,
) -> NeuralInputClassifier:
    """Builds a neural codec in front of a frozen classifier.

    Args:
        network: `key`, `kwargs` and `src_ckpt`.
        compression_model: `key` (a model of compressai's zoo) and `kwargs` for it, and optionally `src_ckpt`, a file
            with its weights.
        pre_transform: applied to the images first, for example padding to what the codec divides by.
        post_transform: applied to the decoded images, for example the crop that undoes it, and normalisation.
        analysis_config: sc2bench's.
        uses_cpu4compression_model: sc2bench's: run the codec on the CPU when its scripts evaluate.

    Raises:
        ConfigError: an unknown codec, or arguments that it does not take.
        CheckpointError: weights that are missing or of another codec or network.

    In a config:

        model:
          key: 'spic_neural_input'
          kwargs:
            network: {key: 'resnet50', kwargs: {num_classes: 10}, src_ckpt: 'resnet50.safetensors'}
            compression_model:
              key: 'mbt2018_mean'
              kwargs: {quality: 1, metric: 'mse', pretrained: False}
    """
    frozen = build_network(network)
    freeze_network(frozen)
    codec = _build_codec(compression_model)
    return NeuralInputClassifier(
        frozen, pre_transform, codec, uses_cpu4compression_model, post_transform, dict(analysis_config or {})
    )


def _build_codec(config: Mapping[str, Any]) -> nn.Module:
    check_keys(config, ("key", "kwargs", "src_ckpt"), f"`{CODEC}`")
    key = str(config.get("key"))
    if key not in COMPRESSAI_DICT:
        raise ConfigError(f"unknown codec `{key}`. {nearest(key, COMPRESSAI_DICT)}")
    try:
        codec = get_compression_model({"key": key, "kwargs": dict(config.get("kwargs") or {}), "update": False}, "cpu")
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{key}` cannot be built with {config.get('kwargs')}: {error}.") from error
    path = config.get("src_ckpt")
    if path:
        try:
            codec.load_state_dict(read_state_dict(Path(path).expanduser()))
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not hold the weights of `{key}`: {error}") from error
    return codec
