"""Checking a config before anything is built: unknown keys, unhooked paths, loaders without kwargs, missing objects."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import nearest
from .check_model import model_problems, reads_pairs, unknown_keys
from .plain import CALL, load_plain

__all__ = ["check_config"]

_TOP = ("dependencies", "datasets", "models", "train", "test", "result")
_STAGE = (
    "num_epochs", "train_data_loader", "val_data_loader", "model", "teacher", "student", "optimizer", "scheduler",
    "criterion", "accelerator", "log_freq", "epoch_to_update", "pre_epoch_process", "pre_forward_process",
    "post_forward_process", "post_epoch_process",
)  # fmt: skip
_LOADER = (
    "dataset_id", "sampler", "batch_sampler", "kwargs", "collate_fn", "cache_output", "requires_supp",
    "dataset_wrapper",
)  # fmt: skip
_ROLE = (
    "sequential", "frozen_modules", "forward_proc", "forward_hook", "wrapper", "requires_grad", "adaptations",
    "auxiliary_model_wrapper", "src_ckpt", "dst_ckpt",
)  # fmt: skip


_TEST = ("test_data_loader",)
_OPTIMIZER = (
    "key", "kwargs", "module_wise_kwargs", "module_wise_configs", "filters_params", "grad_accum_step", "max_grad_norm",
)  # fmt: skip
_SCHEDULER = ("key", "kwargs", "scheduling_step")
_CRITERION = ("key", "args", "kwargs", "func2extract_model_loss")
_LOSS = ("key", "args", "kwargs")
_TERM = ("criterion", "criterion_wrapper", "weight")
_SOURCE = ("is_from_teacher", "module_path", "io", "uses_label")


def check_config(text: str) -> list[str]:
    """Returns what is wrong with a config, one sentence each; empty if nothing is.

    Args:
        text: the config in the hosts' format.

    Raises:
        ConfigError: it is not YAML or not a mapping.
    """
    return list(_problems(load_plain(text)))


def _problems(config: dict[str, Any]) -> Iterator[str]:
    yield from unknown_keys(config, _TOP, "the config")
    dependencies = [_name_of(entry) for entry in config.get("dependencies") or []]
    if "sc2_spic_plugin" not in dependencies:
        yield "`dependencies` lacks `- name: 'sc2_spic_plugin'`, so nothing of the plugin is registered."
    for name in dependencies:
        try:
            importlib.import_module(name)
        except (ImportError, ValueError) as error:
            yield f"the dependency `{name}` cannot be imported ({error})."
    yield from _calls(config, "the config")
    models = config.get("models") or {}
    if not {"model", "student_model"} & set(models):
        yield "`models` needs `model`, or `teacher_model` and `student_model`."
    for name, model in models.items():
        yield from model_problems(name, model, bool(config.get("train")))
    datasets = set(config.get("datasets") or {})
    pairs = any(reads_pairs(model) for model in models.values())
    train = config.get("train") or {}
    stages = {key: value for key, value in train.items() if str(key).startswith("stage")}
    if stages:
        yield from unknown_keys(train, ("log_freq", "epoch_to_update", *stages), "train")
        for name in (name for name, stage in stages.items() if "epoch_to_update" in stage):
            yield f"`train.{name}.epoch_to_update` is read by nobody; with stages it stands under `train`."
    for name, stage in (stages or ({"train": train} if train else {})).items():
        yield from _stage(f"train.{name}" if stages else "train", stage, datasets, pairs)
    yield from unknown_keys(config.get("test") or {}, _TEST, "test")
    loader = (config.get("test") or {}).get("test_data_loader")
    if loader is None:
        yield "`test` needs a `test_data_loader`."
    else:
        yield from _loader("test.test_data_loader", loader, datasets, pairs)


def _name_of(entry: Any) -> str:
    return str(entry.get("name", "")) if isinstance(entry, Mapping) else str(entry)


def _stage(where: str, stage: Mapping[str, Any], datasets: set[str], pairs: bool) -> Iterator[str]:
    yield from unknown_keys(stage, _STAGE, where)
    for name in ("train_data_loader", "val_data_loader"):
        if name in stage:
            yield from _loader(f"{where}.{name}", stage[name], datasets, pairs)
        else:
            yield f"`{where}` needs a `{name}`."
    roles = [name for name in ("model", "teacher", "student") if stage.get(name) is not None]
    for name in roles:
        yield from unknown_keys(stage[name], _ROLE, f"{where}.{name}")
        yield from unknown_keys(
            stage[name].get("forward_hook") or {}, ("input", "output"), f"{where}.{name}.forward_hook"
        )
        if "." in ((stage[name].get("forward_hook") or {}).get("output") or []):
            yield f"`{where}.{name}.forward_hook` lists '.', which the hosts keep anyway and cannot hook; remove it."
    yield from unknown_keys(stage.get("optimizer") or {}, _OPTIMIZER, f"{where}.optimizer")
    yield from unknown_keys(stage.get("scheduler") or {}, _SCHEDULER, f"{where}.scheduler")
    yield from _losses(where, stage)


def _loader(where: str, loader: Mapping[str, Any], datasets: set[str], pairs: bool) -> Iterator[str]:
    from torchdistill.datasets.registry import COLLATE_FUNC_DICT

    yield from unknown_keys(loader, _LOADER, where)
    if "kwargs" not in loader:
        yield f"`{where}` has no `kwargs`; put batch_size and num_workers there, not beside it."
    if loader.get("dataset_id") not in datasets:
        yield f"`{where}.dataset_id` is no data set of this config. {nearest(str(loader.get('dataset_id')), datasets)}"
    yield from unknown_keys(loader.get("sampler") or {}, ("class_or_func", "kwargs"), f"{where}.sampler")
    if "class_or_func" not in (loader.get("sampler") or {}):
        yield f"`{where}` has no `sampler: {{class_or_func: ...}}`."
    collate = loader.get("collate_fn")
    if pairs and collate is None:
        yield f"`{where}` loads images with masks and needs `collate_fn: 'spic_pair_collate'`."
    elif collate is not None and collate not in COLLATE_FUNC_DICT:
        yield f"unknown collate_fn `{collate}` in {where}. {nearest(str(collate), COLLATE_FUNC_DICT)}"


def _hooked(role: Mapping[str, Any] | None) -> set[str]:
    hooks = (role or {}).get("forward_hook") or {}
    return {".", *(hooks.get("output") or []), *(hooks.get("input") or [])}


def _losses(where: str, stage: Mapping[str, Any]) -> Iterator[str]:
    from torchdistill.losses import registry

    known = {
        *registry.LOSS_DICT, *registry.LOW_LEVEL_LOSS_DICT, *registry.MIDDLE_LEVEL_LOSS_DICT,
    }  # fmt: skip
    student, teacher = _hooked(stage.get("student") or stage.get("model")), _hooked(stage.get("teacher"))
    total = stage.get("criterion") or {}
    if total.get("key") not in registry.HIGH_LEVEL_LOSS_DICT:
        hint = nearest(str(total.get("key")), registry.HIGH_LEVEL_LOSS_DICT)
        yield f"unknown loss `{total.get('key')}` as {where}.criterion. {hint}"
    yield from unknown_keys(total, _CRITERION, f"{where}.criterion")
    if total.get("key") == "WeightedSumLoss":  # which swallows what it does not know
        known_kwargs = ("sub_terms", "model_term")
        yield from unknown_keys(total.get("kwargs") or {}, known_kwargs, f"{where}.criterion.kwargs")
    terms = (total.get("kwargs") or {}).get("sub_terms") or {}
    for name, term in terms.items():
        place = f"the loss term `{name}` in {where}.criterion"
        yield from unknown_keys(term, _TERM, place)
        yield from unknown_keys(term.get("criterion") or {}, _LOSS, f"{place}, criterion")
        yield from unknown_keys(term.get("criterion_wrapper") or {}, _LOSS, f"{place}, criterion_wrapper")
        criterion = term.get("criterion") or {}
        key, kwargs = str(criterion.get("key")), criterion.get("kwargs") or {}
        if key not in known:
            yield f"unknown loss `{key}` in {where}.criterion. {nearest(key, known)}"
        if "weight" not in term:
            yield f"the loss term `{name}` in {where}.criterion has no `weight`."
        wrapper = ((term.get("criterion_wrapper") or {}).get("kwargs")) or {}
        for end in ("input", "target"):
            source = wrapper.get(end)
            if isinstance(source, Mapping):
                yield from unknown_keys(source, _SOURCE, f"{place}, {end}")
            if isinstance(source, Mapping) and "module_path" in source:
                hooked = teacher if source.get("is_from_teacher") else student
                yield from _hook(where, name, str(source["module_path"]), hooked)
        for path in _paths_read(key, kwargs):
            yield from _hook(where, name, path, student)


def _paths_read(key: str, kwargs: Mapping[str, Any]) -> list[str]:
    """Returns the module paths that a loss of ours, or the host's rate loss, reads without a wrapper."""
    if key == "SpicRateLoss":
        return [str(kwargs.get("module_path", "rate"))]
    if key == "SpicDistillationLoss":
        layer = str(kwargs.get("layer", "."))
        return ["original.output"] if layer == "." else [f"back_end.{layer}", f"original.{layer.replace('.', '_')}"]
    if key == "BppLoss":
        return [str(kwargs.get("entropy_module_path"))]
    return []


def _hook(where: str, term: str, path: str, hooked: set[str]) -> Iterator[str]:
    if path not in hooked:
        yield f"the loss term `{term}` in {where} reads `{path}`, which no `forward_hook` of that stage keeps."


def _calls(value: Any, where: str) -> Iterator[str]:
    """Finds every `!import_call` and checks that its object exists and takes the arguments given."""
    if isinstance(value, Mapping):
        if value.get(CALL) in ("import_call", "import_get") and "key" in value:
            yield from _call(value, where)
        for key, child in value.items():
            yield from _calls(child, f"{where}.{key}" if where != "the config" else str(key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _calls(child, f"{where}.{index}")


def _call(value: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from unknown_keys(
        value, (CALL, "key", "init"), f"{where} ({value['key']}); its arguments stand in init.kwargs"
    )
    module_name, _, attribute = str(value["key"]).rpartition(".")
    try:
        target = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError):
        yield f"`{value['key']}` in {where} cannot be imported."
        return
    if isinstance(value.get("init"), Mapping):
        yield from unknown_keys(value["init"], ("args", "kwargs"), f"{where}.init")
    kwargs = (value.get("init") or {}).get("kwargs") if isinstance(value.get("init"), Mapping) else None
    if value[CALL] != "import_call" or not kwargs:
        return
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    yield from unknown_keys(kwargs, tuple(parameters), f"{where} ({value['key']})")
