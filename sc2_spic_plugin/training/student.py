"""The model a config trains: a split model joined with a rate estimator and its own frozen teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConfigError, CutError, nearest
from ..models import SplitModel, cut_network
from ..models.arguments import check_keys, example_input, parameter_names
from ..models.frozen import freeze_network
from ..models.network import build_network
from ..rate_estimators import RateEstimator, build_rate_estimator

__all__ = ["SpicModel", "spic_classifier", "spic_segmenter"]

OUTPUT = "output"

_PROOF_SIDE = 97
"""Segmentation networks take any size; their cut is proved on small images, which is quick on a CPU."""


class SpicModel(SplitModel):
    """A split model that can be trained: `forward` returns the student's output alone, hooks give the rest.

        image -> front_end (no gradient) -> features ------------------------------> back_end -> original.output
                                               |-> unit -> features_hat -----------> back_end -> output
                                                     |-> latent / step -> rate_estimators -> rate

    Hook paths for losses: `.` (the student's output), `original.output` (the original network's output for the same
    images, same front-end pass), `original.<layer>` and `back_end.<layer>` for every layer of `distillation_layers`,
    `rate` (B,), the estimated rate per image pixel.

    Args:
        network: the original network, frozen in place.
        cut: the module after which it is split.
        unit: keyword arguments of `BottleneckUnit` without `in_channels`.
        unit_name: the unit's name in the checkpoint.
        rate_estimator: `key` (a kind of `build_rate_estimator`) and `kwargs`.
        distills: whether training also runs the original network behind the cut (no gradient, no second model).
        distillation_layers: further modules behind the cut whose original output is kept for losses.
        uses_aux: until `update()` the output also has `aux`, of the network's auxiliary head, for the loss.
        split: the remaining arguments of `SplitModel`.
    """

    def __init__(
        self,
        network: nn.Module,
        cut: str,
        unit: Mapping[str, Any],
        unit_name: str = "unit",
        rate_estimator: Mapping[str, Any] | None = None,
        distills: bool = False,
        distillation_layers: Sequence[str] = (),
        uses_aux: bool = False,
        **split: Any,
    ) -> None:
        auxiliary = _auxiliary_end(network, cut, split) if uses_aux else None
        super().__init__(network, cut, {unit_name: unit}, **split)
        self.auxiliary_end = auxiliary
        estimator = dict(rate_estimator or {"key": "static_table"})
        check_keys(estimator, ("key", "kwargs"), "`rate_estimator`")
        if "key" not in estimator:
            raise ConfigError("`rate_estimator` needs a `key`, for example 'static_table'.")
        self.rate_estimators = nn.ModuleDict(
            {
                name: build_rate_estimator(
                    estimator["key"],
                    channels=each.latent_channels,  # type: ignore[arg-type]
                    latent_size=each.latent_size(self.feature_size),  # type: ignore[operator]
                    **dict(estimator.get("kwargs") or {}),
                )
                for name, each in self.units.items()
            }
        )
        self.rate = nn.Identity()
        self.distills = bool(distills or distillation_layers)
        self.original = nn.ModuleDict({OUTPUT: nn.Identity()} if self.distills else {})
        self._layer_keys = {layer: layer.replace(".", "_") for layer in distillation_layers}
        behind = [name for name, _ in self.back_end.named_modules() if name]
        for layer, key in self._layer_keys.items():
            if layer not in behind:
                raise ConfigError(f"no module `{layer}` behind the cut `{cut}`. {nearest(layer, behind)}")
            self.original[key] = nn.Identity()

    @property
    def rate_estimator(self) -> RateEstimator:
        """The active unit's estimator."""
        return self.rate_estimators[self.active]  # type: ignore[return-value]

    def forward(self, image: Tensor) -> Any:
        """Returns the student's output (B, classes)."""
        if self.bottleneck_updated and not self.training:
            return super().forward(image)
        features, crossing = self._split_front(image)
        if self.distills:
            self._run_original(features, crossing)
        features_hat, latent = self.unit(features)
        if self.clones_features:  # the back-end overwrites what the decoder's backward pass still reads
            features_hat = features_hat.clone()
        if self.training:
            self.symbol_tables.observe(self.unit.encode(features, checks_finite=False))
        pixels = image.shape[-2] * image.shape[-1]
        self.rate(self.rate_estimator(latent / self.unit.step).bits / pixels)
        output = self.back_end(features_hat, *crossing)
        if self.auxiliary_end is not None:  # held-out values of the loss need it too; decoded bytes never do
            return {**output, **self.auxiliary_end(features_hat, *crossing)}
        return output

    @torch.no_grad()
    def _run_original(self, features: Tensor, crossing: tuple[int | Tensor, ...]) -> None:
        """Passes the original network's outputs through the Identities of `original`."""
        kept: dict[str, Any] = {}
        handles = [
            self.back_end.get_submodule(layer).register_forward_hook(
                lambda _module, _input, output, key=key: kept.__setitem__(key, output)
            )
            for layer, key in self._layer_keys.items()
        ]
        try:
            kept[OUTPUT] = self.back_end(features.clone() if self.clones_features else features, *crossing)
        finally:
            for handle in handles:
                handle.remove()
        for key, value in kept.items():
            self.original[key](value)

    def get_aux_module(self, **kwargs: Any) -> nn.Module | None:
        """Returns the estimator if it has an auxiliary (quantile) loss, which the host then adds to each step."""
        has_aux_loss = type(self.rate_estimator).aux_loss is not RateEstimator.aux_loss
        return self.rate_estimator if has_aux_loss else None


def _auxiliary_end(network: nn.Module, cut: str, split: Mapping[str, Any]) -> nn.Module:
    """Returns what computes `aux` from features and what crosses, frozen.

    Raises:
        CutError: the network has no auxiliary head, or one that does not see the cut tensor.
    """
    example = example_input(split.get("proof_size") or split.get("input_size", (3, 224, 224)))
    allow_bypass = split.get("allow_bypass", False)
    main = cut_network(network, cut, example, allow_bypass, ["out"])
    try:
        auxiliary = cut_network(network, cut, example, allow_bypass, ["aux"])
    except CutError as error:
        raise CutError(f"`uses_aux` needs an auxiliary head behind `{cut}`; train without it. {error}") from error
    if main.crossing != auxiliary.crossing:
        raise CutError(
            f"`{cut}` lies where output and auxiliary head need different things beside the features "
            f"({main.crossing} and {auxiliary.crossing}); train without `uses_aux`."
        )
    freeze_network(auxiliary.back_end)
    return auxiliary.back_end.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def spic_classifier(network: Mapping[str, Any], **kwargs: Any) -> SpicModel:
    """Builds a trainable SPIC classifier from a config; see `SpicModel` for the arguments.

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
    names = [name for cls in (SpicModel, SplitModel) for name in parameter_names(cls, "network", "units", "split")]
    check_keys(kwargs, [name for name in names if name not in without], function)
    for key in ("cut", "unit"):
        if key not in kwargs:
            raise ConfigError(f"{function} needs `{key}`.")
