"""What configs name: trainable SPIC models for classification and segmentation."""

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..models import SplitModel
from ..models.arguments import check_keys, parameter_names
from ..models.network import build_network
from .student import SpicModel

__all__ = ["spic_classifier", "spic_segmenter"]

_PROOF_SIDE = 97
"""Segmentation networks take any size; their cut is proved on small images, which is quick on a CPU."""


def spic_classifier(network: Mapping[str, Any], **kwargs: Any) -> SpicModel:
    """Builds a trainable SPIC classifier from a config; see `SpicModel` for the arguments.

    A bank has `units: {low: {latent_channels: 64, stride: 2, rate_weight: 8.0}, high: {...}}` in place of `unit`.

    model:
      key: 'spic_classifier'
      kwargs:
        network: {key: 'resnet50', kwargs: {num_classes: 1000, weights: 'IMAGENET1K_V1'}}
        cut: 'layer4.0'
        input_size: [3, 224, 224]
        unit: {latent_channels: 64, stride: 2, step: 1.0}
        rate_estimator: {key: 'static_table'}
        distills: True
        analysis_config:
          analyzes_after_compress: True
          analyzer_configs: [{key: 'FileSizeAnalyzer', kwargs: {unit: 'KB'}}, {key: 'SpicSizeAnalyzer'}]
    """
    _check_arguments("spic_classifier", kwargs, "outputs", "uses_aux")
    return SpicModel(build_network(network), **kwargs)


def spic_segmenter(network: Mapping[str, Any], **kwargs: Any) -> SpicModel:
    """Builds a trainable SPIC segmentation model from a config; see `SpicModel` for the arguments.

    Its output is a dict with `out` (B, classes, H, W), as that of torchvision's segmentation models. The auxiliary head
    is dropped; `uses_aux: True` brings it back in training, at cuts that it sees.

    model:
      key: 'spic_segmenter'
      kwargs:
        network: {key: 'deeplabv3_resnet50', kwargs: {num_classes: 21, weights: 'COCO_WITH_VOC_LABELS_V1'}}
        cut: 'backbone.layer4.1'
        input_size: [3, 513, 513]
        unit: {latent_channels: 64, stride: 4, step: 1.0}
        rate_estimator: {key: 'static_table'}
        analysis_config:
          analyzes_after_compress: True
          analyzer_configs: [{key: 'FileSizeAnalyzer', kwargs: {unit: 'KB'}}, {key: 'SpicSizeAnalyzer'}]
    """
    _check_arguments("spic_segmenter", kwargs, "outputs")
    channels, *sides = kwargs.get("input_size", (3, 513, 513))
    small = [channels, *(min(side, _PROOF_SIDE) for side in sides)]
    options = {"input_size": [channels, *sides], "proof_size": small, "outputs": ["out"], **kwargs}
    return SpicModel(build_network(network, "segmentation"), **options)


def _check_arguments(function: str, kwargs: Mapping[str, Any], *without: str) -> None:
    names = [name for cls in (SpicModel, SplitModel) for name in parameter_names(cls, "network", "split")]
    check_keys(kwargs, [name for name in dict.fromkeys(names) if name not in without], function)
    if "cut" not in kwargs:
        raise ConfigError(f"{function} needs `cut`.")
    if not {"unit", "units"} & set(kwargs):
        raise ConfigError(f"{function} needs `unit`, or `units` for a bank.")
