"""Checking the models of a config, as far as that takes no network: keys, units, estimators, analyzers."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import ConfigError, nearest

__all__ = ["model_problems", "reads_pairs", "unknown_keys"]

WRAPPED = ("classification_model", "segmentation_model")
"""What the hosts' codec wrappers hold."""
_MODEL = (
    "key", "kwargs", "src_ckpt", "dst_ckpt", "experiment", *WRAPPED, "compression_model", "repo_or_dir", "sync_bn",
    "quantized", "update_before_ckpt",
)  # fmt: skip
_SPIC = ("spic_classifier", "spic_segmenter")
_BANK = {"unit": None, "unit_name": "unit", "units": None, "rate_estimator": None}
"""Arguments that describe a model's units, with their defaults."""


def unknown_keys(mapping: Mapping[str, Any], known: tuple[str, ...], where: str) -> Iterator[str]:
    """Yields one sentence for each key that nothing reads; those that start with _ are anyone's."""
    for key in mapping:
        if str(key).startswith("_") or key in known:
            continue
        yield f"unknown key `{key}` in {where}. {nearest(str(key), known)}"


def reads_pairs(model: Mapping[str, Any]) -> bool:
    """Says whether a model's config is of a segmentation model, whose data sets hold images with masks."""
    from sc2bench.models.segmentation.registry import SEGMENTATION_MODEL_CLASS_DICT, SEGMENTATION_MODEL_FUNC_DICT
    from torchvision.models import segmentation

    known = (SEGMENTATION_MODEL_CLASS_DICT, SEGMENTATION_MODEL_FUNC_DICT, segmentation.__dict__)
    return "segmentation_model" in model or any(model.get("key") in names for names in known)


def model_problems(name: str, model: Mapping[str, Any], is_trained: bool) -> Iterator[str]:
    """Yields what is wrong with one entry of `models`, one sentence each.

    Args:
        name: the entry: `model`, `teacher_model` or `student_model`.
        model: its value.
        is_trained: whether the config says anything about training.
    """
    where = f"models.{name}"
    yield from unknown_keys(model, _MODEL, where)
    if "key" not in model:
        yield f"`{where}` needs a `key`."
    if is_trained and name != "teacher_model" and "dst_ckpt" not in model:
        yield f"`{where}` needs a `dst_ckpt`: where the hosts save and look for the trained checkpoint."
    for key in WRAPPED:
        if key in model:
            yield from unknown_keys(model[key], _MODEL, f"{where}.{key}")
            if not {"key", "kwargs"} <= set(model[key]):
                yield f"`{where}.{key}` needs `key` and `kwargs`."
    if model.get("key") in _SPIC:
        yield from _spic_model(f"{where}.kwargs", str(model["key"]), model.get("kwargs") or {})


def _spic_model(where: str, function: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    """Finds what the model's own checks would refuse, as far as that takes no network."""
    from ..models.arguments import check_keys, checked_analysis, checked_unit, parameter_names
    from ..models.network import NETWORK_KEYS
    from ..models.split_model import SplitModel
    from ..rate_estimators import RATE_ESTIMATORS, HyperpriorRateEstimator
    from ..training.bank_plan import read_bank
    from ..training.student import CODERS, HYPERPRIOR, SpicModel

    chosen = ("outputs", "uses_aux") if function == "spic_classifier" else ("outputs",)
    known = dict.fromkeys((*parameter_names(SpicModel, "split"), *parameter_names(SplitModel)))
    for key in chosen:  # by the function itself
        known.pop(key, None)
    yield from unknown_keys(kwargs, tuple(known), where)
    yield from (f"`{where}` needs `{key}`." for key in ("network", "cut") if key not in kwargs)
    estimators: list[Any] = []
    units: list[tuple[str, Any]] = []
    try:
        bank = read_bank(*(kwargs.get(key, default) for key, default in _BANK.items()))
        units = [(name, plan.unit) for name, plan in bank.items()]
        estimators = [str(plan.rate_estimator["key"]) for plan in bank.values()]
    except ConfigError as error:
        yield f"{where}: {error}"
    active, names = kwargs.get("active"), [name for name, _ in units]
    if names and active is not None and active not in names:
        yield f"`active` of {where} is `{active}`, which is no unit. {nearest(str(active), names)}"
    checks: list[Callable[[], Any]] = [
        *(lambda name=name, unit=unit: checked_unit(name, unit) for name, unit in units),  # type: ignore[misc]
        lambda: checked_analysis(kwargs.get("analysis_config") or {}),
        lambda: check_keys(kwargs.get("network", {}), NETWORK_KEYS, "`network`"),
    ]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield f"{where}: {error}"
    for key in dict.fromkeys(estimators):
        if key not in RATE_ESTIMATORS:
            yield f"unknown rate estimator `{key}` in {where}. {nearest(key, RATE_ESTIMATORS)}"
        elif kwargs.get("coder") == HYPERPRIOR and not issubclass(RATE_ESTIMATORS[key], HyperpriorRateEstimator):
            yield f"`coder` of {where} is `{HYPERPRIOR}`, and `{key}` is none: give a hyperprior as rate estimator."
    if kwargs.get("coder", CODERS[0]) not in CODERS:
        yield f"unknown coder `{kwargs['coder']}` in {where}. {nearest(str(kwargs['coder']), CODERS)}"
