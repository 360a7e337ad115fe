"""sc2bench's Entropic Student for semantic segmentation, built on the network that every other method uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from sc2bench.models.backbone import FeatureExtractionBackbone, SplittableResNet
from sc2bench.models.segmentation.base import BaseSegmentationModel
from torch import nn

from ..errors import ConfigError
from .arguments import checked_analysis
from .entropic_student import build_bottleneck, fit_coder_tables
from .network import build_network

__all__ = ["EntropicStudentSegmenter", "spic_entropic_student_segmenter"]

BOTTLENECK = "bottleneck_layer"
_STAGES = ("layer2", "layer3", "layer4")


class EntropicStudentSegmenter(BaseSegmentationModel):
    """sc2bench's segmentation model whose bytes can be measured like any other model's.

        image -> backbone: bottleneck_layer -> bytes -> layer2 .. layer4 -> classifier -> interpolation -> {'out': ...}

    The compressed object arises in the backbone, and so do its analyzers: `analyzers`, `analyzes_after_compress` and
    `bottleneck_updated` of this model are the backbone's. Checkpoints load whether or not the bottleneck was updated
    when they were made.

    Args:
        backbone: `bottleneck_layer` and the stages behind it.
        classifier: the head, e.g. of DeepLabv3.
        aux_classifier: the auxiliary head, for training.
    """

    def __init__(
        self, backbone: FeatureExtractionBackbone, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__(backbone, classifier, aux_classifier)

    @property
    def analyzers(self) -> Sequence[Any]:
        """The backbone's analyzers."""
        return self.backbone.analyzers

    @analyzers.setter
    def analyzers(self, analyzers: Sequence[Any]) -> None:
        if "backbone" in self._modules:  # the hosts' constructor sets its own, empty, before there is a backbone
            self.backbone.analyzers = analyzers

    @property
    def analyzes_after_compress(self) -> bool:
        """Whether the backbone hands what it compressed to its analyzers."""
        return bool(self.backbone.analyzes_after_compress)

    @analyzes_after_compress.setter
    def analyzes_after_compress(self, analyzes: bool) -> None:
        self.backbone.analyzes_after_compress = analyzes

    @property
    def bottleneck_updated(self) -> bool:
        """Whether eval-mode `forward` goes through real bytes."""
        return bool(self.backbone.bottleneck_updated)

    @bottleneck_updated.setter
    def bottleneck_updated(self, updated: bool) -> None:
        if "backbone" in self._modules:
            self.backbone.bottleneck_updated = updated

    def analyze(self, compressed_obj: Any) -> None:
        """Hands a compressed object to the analyzers, once."""
        self.backbone.analyze(compressed_obj)

    def summarize(self) -> None:
        """Shows what the analyzers found, once."""
        self.backbone.summarize()

    def clear_analysis(self) -> None:
        """Forgets what the analyzers found."""
        self.backbone.clear_analysis()

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint made before or after `update()`."""
        fit_coder_tables(self.backbone.get_submodule(BOTTLENECK), state_dict, f"backbone.{BOTTLENECK}.")
        return super().load_state_dict(state_dict, *args, **kwargs)


def spic_entropic_student_segmenter(
    network: Mapping[str, Any],
    bottleneck_config: Mapping[str, Any],
    uses_aux: bool = False,
    analysis_config: Mapping[str, Any] | None = None,
) -> EntropicStudentSegmenter:
    """Builds an Entropic Student whose layers behind the bottleneck and heads start from `network`.

    The network is DeepLabv3 or FCN around a ResNet: torchvision's, or sc2bench's `deeplabv3_model`.

        student_model:
          key: 'spic_entropic_student_segmenter'
          kwargs:
            network: {key: 'deeplabv3_resnet50', kwargs: {num_classes: 21, weights: 'COCO_WITH_VOC_LABELS_V1'}}
            bottleneck_config:
              key: 'FPBasedResNetBottleneck'
              kwargs: {num_bottleneck_channels: 24}
            analysis_config:
              analyzes_after_compress: True
              analyzer_configs: [{key: 'FileSizeAnalyzer', kwargs: {unit: 'KB'}}]

    Args:
        network: `key`, `kwargs` and `src_ckpt` of the original network.
        bottleneck_config: `key` and `kwargs` of a bottleneck of sc2bench.
        uses_aux: keep the network's auxiliary head, whose output `aux` a loss may read.
        analysis_config: sc2bench's: `analyzer_configs` and `analyzes_after_compress`.

    Raises:
        ConfigError: another kind of network, no auxiliary head to use, or an unknown bottleneck.
    """
    original = build_network(network, task="segmentation")
    backbone, head = getattr(original, "backbone", None), getattr(original, "classifier", None)
    stages = [stage for stage in _STAGES if isinstance(getattr(backbone, stage, None), nn.Module)]
    if not isinstance(backbone, nn.Module) or not isinstance(head, nn.Module) or "layer2" not in stages:
        raise ConfigError(
            f"Entropic Student replaces the first layers of a ResNet, and `{network.get('key')}` has none as its "
            "backbone; use DeepLabv3 or FCN around a ResNet."
        )
    returned = {stages[-1]: "out"}
    auxiliary = getattr(original, "aux_classifier", None) if uses_aux else None
    if uses_aux and auxiliary is None:
        raise ConfigError(f"`{network.get('key')}` has no auxiliary head; set `uses_aux: False`, or build it with one.")
    if auxiliary is not None:
        returned[stages[-2]] = "aux"
    split = SplittableResNet(
        build_bottleneck(bottleneck_config, backbone.get_submodule("layer2")),
        backbone,
        inplanes=0,  # kept by the host, read by nobody
        short_module_names=stages,
    )
    analyzers, analyzes = checked_analysis(analysis_config or {})
    extractor = FeatureExtractionBackbone(split, returned, analyzers, analyzes, analyzable_layer_key=BOTTLENECK)
    return EntropicStudentSegmenter(extractor, head, auxiliary)
