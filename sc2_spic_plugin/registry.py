"""The only file that touches the hosts' registries: what is registered, under which key, and never over another's."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ConfigError

__all__ = ["register", "register_all", "registered_names"]

DATASETS = (
    "CheckedImageFolder",
    "CocoSegmentation",
    "FlatImageFolder",
    "HeldOut",
    "PairFolder",
    "SyntheticImages",
    "SyntheticScenes",
    "VocSegmentation",
)
"""The data sets; the key is `Spic` and the name."""
TRANSFORMS = (
    "PairCenterCrop",
    "PairCompose",
    "PairNormalize",
    "PairRandomCrop",
    "PairRandomHorizontalFlip",
    "PairRandomResize",
    "PairResize",
    "PairToTensor",
)
"""The joint transforms of image and mask; the key is `Spic` and the name."""

_registered: dict[str, list[str]] = {}


def register(kind: str, table: Mapping[str, Any], key: str, value: Any, add: Callable[[Any], Any]) -> None:
    """Registers one object with a host, unless the key is taken: the host would overwrite silently.

    Args:
        kind: what it is, for messages and the manifest.
        table: the host's table, looked at before adding.
        key: the key the host's function will use.
        value: the object.
        add: the host's registration function.

    Raises:
        ConfigError: something else already has the key.
    """
    if key in table and table[key] is not value:
        raise ConfigError(
            f"the {kind} key `{key}` is already taken by {table[key]!r}; "
            "another plugin registered it, so import only one of the two."
        )
    add(value)
    names = _registered.setdefault(kind, [])
    if key not in names:
        names.append(key)


def register_all() -> None:
    """Registers every part with sc2bench and torchdistill; calling it again changes nothing."""
    import torchvision  # noqa: F401 - the hosts' dataset registry reads torchvision's namespace at import
    from sc2bench import analysis
    from sc2bench.models import backbone
    from sc2bench.models.segmentation import registry as segmentation_registry
    from torchdistill.datasets import registry as dataset_registry
    from torchdistill.losses import registry as loss_registry
    from torchdistill.models import registry as model_registry

    from . import datasets
    from .analyzers import SpicSizeAnalyzer
    from .losses import SpicDistillationLoss, SpicRateLoss
    from .models import spic_entropic_student, spic_entropic_student_segmenter, spic_eval_teacher, spic_neural_input
    from .training import spic_classifier, spic_segmenter

    models = ChainMap(backbone.BACKBONE_FUNC_DICT, model_registry.MODEL_DICT)  # registering adds to both
    for function in (spic_classifier, spic_entropic_student, spic_eval_teacher, spic_neural_input):
        register("model", models, function.__name__, function, backbone.register_backbone_func)
    segmenters = ChainMap(segmentation_registry.SEGMENTATION_MODEL_FUNC_DICT, model_registry.MODEL_DICT)
    for segmenter in (spic_segmenter, spic_entropic_student_segmenter):
        register(
            "segmentation model",
            segmenters,
            segmenter.__name__,
            segmenter,
            segmentation_registry.register_segmentation_model_func,
        )
    for loss in (SpicDistillationLoss, SpicRateLoss):
        register(
            "loss", loss_registry.MIDDLE_LEVEL_LOSS_DICT, loss.__name__, loss, loss_registry.register_mid_level_loss
        )
    register(
        "analyzer",
        analysis.ANALYZER_CLASS_DICT,
        SpicSizeAnalyzer.__name__,
        SpicSizeAnalyzer,
        analysis.register_analysis_class,
    )
    for name in DATASETS:

        def add_dataset(cls: Any, key: str = f"Spic{name}") -> Any:
            return dataset_registry.register_dataset(key=key)(cls)

        register("dataset", dataset_registry.DATASET_DICT, f"Spic{name}", getattr(datasets, name), add_dataset)
    for name in TRANSFORMS:

        def add_transform(cls: Any, key: str = f"Spic{name}") -> Any:
            return dataset_registry.register_transform(key=key)(cls)

        register("transform", dataset_registry.TRANSFORM_DICT, f"Spic{name}", getattr(datasets, name), add_transform)
    collate = datasets.spic_pair_collate
    register(
        "collate function",
        dataset_registry.COLLATE_FUNC_DICT,
        collate.__name__,
        collate,
        dataset_registry.register_collate_func,
    )


def registered_names() -> dict[str, list[str]]:
    """Returns the registered keys by kind, sorted."""
    return {kind: sorted(names) for kind, names in sorted(_registered.items())}
