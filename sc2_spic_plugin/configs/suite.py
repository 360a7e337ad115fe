"""Reading a suite file: every key checked, short names of values resolved."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, nearest
from .suite_plan import CodecPlan, CodecVariant, MethodPlan, NetworkPlan, StorePlan, Suite, resolved

__all__ = ["CodecPlan", "CodecVariant", "MethodPlan", "NetworkPlan", "StorePlan", "Suite", "load_suite"]


def load_suite(path: Path) -> Suite:
    """Reads a suite file; `paths` in it names values once, so that methods can say `weight: 2.0`.

        name: mine
        protocol: imagenette-160
        paths:
          root: datasets.imagenette/train._root
          weight: train.stage1.criterion.kwargs.sub_terms.rate.weight
          units: models.model.kwargs.units
          coder: models.model.kwargs.coder
        shared: {root: ./imagenette2-160}
        network: {config: imagenette/network.yaml, weights: resnet50.safetensors}    # without weights: trained
        methods:
          - method: spic_static_table                  # a job for each point and seed
            supervision: supervised
            config: imagenette/spic_supervised.yaml
            points: {low: {weight: 200.0}, high: {weight: 10.0}}
            seeds: [0, 1, 2]
          - method: spic_static_table                  # no points: one job, here a bank with a point for each unit
            curve: bank
            config: imagenette/bank_supervised.yaml
            store: split2                              # the front-end is run once for all that name it
            values: {units: {u0: {latent_channels: 32, stride: 2, step: 1.0, rate_weight: 10.0}}}
          - method: spic_mean_scale_hyperprior_kept    # what another curve trained, measured another way
            checkpoints_of: spic_mean_scale_hyperprior-supervised
            config: imagenette/bank_supervised.yaml
            values: {coder: hyperprior}
          - method: spic_l1                            # the points of a sweep file
            sweep: imagenette/sweep_supervised.yaml
            filter: {estimator: l1, cut: [layer4.0, layer4.2]}
        codecs:
          webp: [5, 30]
          jpeg: {qualities: [5, 20, 60], variants: [{scale: 0.5}, {subsampling: '444', qualities: [20]}]}
        references: [label]
        stores: {split2: {views: 2}}
        durations: {spic_l1: 1260}                     # seconds of one job where known, for estimates

    Raises:
        ConfigError: not YAML, an unknown or missing key, a value of another kind, or a value without a path.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no suite: it must be a mapping with `name` and `methods`.")
    content = _checked(content, Suite, str(path))
    paths = _mapping(content, "paths", str(path))
    for name, targets in paths.items():
        if not all(isinstance(each, str) for each in (targets if isinstance(targets, list) else [targets])):
            raise ConfigError(f"{path}: the path of `{name}` must be a dotted path or a list of them, got {targets!r}.")
    for name, seconds in _mapping(content, "durations", str(path)).items():
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            raise ConfigError(f"{path}: the duration of `{name}` must be seconds above 0, got {seconds!r}.")
    if not isinstance(content["methods"], list):
        raise ConfigError(f"{path}: `methods` must be a list.")
    content["methods"] = [_method(method, paths, path) for method in content["methods"]]
    content["shared"] = resolved(_mapping(content, "shared", str(path)), paths, path)
    network = _checked(content["network"], NetworkPlan, f"{path}, network")
    network["values"] = resolved(_mapping(network, "values", f"{path}, network"), paths, path)
    content["network"] = NetworkPlan(**network)
    codecs = _mapping(content, "codecs", str(path))
    content["codecs"] = {str(name): _codec(plan, f"{path}, codec `{name}`") for name, plan in codecs.items()}
    if content.get("references") is not None:
        content["references"] = tuple(map(str, _list(content["references"], f"{path}, references")))
    stores = _mapping(content, "stores", str(path))
    content["stores"] = {
        str(name): StorePlan(**_checked(plan or {}, StorePlan, f"{path}, store `{name}`"))
        for name, plan in stores.items()
    }
    suite = Suite(**{**content, "paths": paths})
    for method in suite.methods:
        if method.store is not None and method.store not in suite.stores:
            raise ConfigError(
                f"method `{method.name}` of {path}: no store `{method.store}`. {nearest(method.store, suite.stores)}"
            )
    names = [method.name for method in suite.methods]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two methods of {path} are called `{name}`; merge their points, or give each a `curve`.")
    return suite


def _method(entry: Any, paths: Mapping[str, Any], path: Path) -> MethodPlan:
    method = _checked(entry, MethodPlan, f"{path}, methods")
    where = f"method `{method['method']}` of {path}"
    if (method.get("config") is None) == (method.get("sweep") is None):
        raise ConfigError(f"{where} needs `config` or `sweep`, and not both.")
    if method.get("sweep") is not None and method.get("points") is not None:
        raise ConfigError(f"{where} has `points` and `sweep`; the sweep's points are its own.")
    if method.get("sweep") is None and method.get("filter"):
        raise ConfigError(f"{where} has a `filter` and no `sweep`.")
    if method.get("checkpoints_of") is not None and method.get("store") is not None:
        raise ConfigError(f"{where} has `checkpoints_of`, so it trains nothing: leave `store` out.")
    method["values"] = resolved(_mapping(method, "values", where), paths, path)
    if method.get("points") is not None:
        points = _mapping(method, "points", where)
        if not points:
            raise ConfigError(f"{where} has no points; give one or more, or leave `points` out.")
        method["points"] = {str(name): resolved(values or {}, paths, path) for name, values in points.items()}
    seeds = method.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or len(set(seeds)) != len(seeds) or not all(map(_is_count, seeds)):
        raise ConfigError(f"`seeds` of {where} must be different whole numbers of at least 0, got {seeds!r}.")
    method["seeds"] = tuple(seeds)
    return MethodPlan(**method)


def _codec(plan: Any, where: str) -> CodecPlan:
    if not isinstance(plan, dict):
        return CodecPlan(tuple(_list(plan, where)))
    values = _checked(plan, CodecPlan, where)
    variants = []
    for entry in _list(values.get("variants") or [], where):
        variant = _checked(entry, CodecVariant, f"{where}, variants")
        if variant.get("subsampling") is not None:
            variant["subsampling"] = str(variant["subsampling"])  # YAML reads 444 as a number
        if variant.get("qualities") is not None:
            variant["qualities"] = tuple(_list(variant["qualities"], where))
        variants.append(CodecVariant(**variant))
    return CodecPlan(tuple(_list(values["qualities"], where)), tuple(variants))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _list(value: Any, where: object) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: expected a list, got {value!r}.")
    return value


def _mapping(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = values.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"`{key}` of {where} must be a mapping, got {value!r}.")
    return value


def _checked(values: Any, kind: Any, where: str) -> dict[str, Any]:
    fields = dataclasses.fields(kind)
    known = [item.name for item in fields]
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping with {', '.join(known)}.")
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`. {nearest(str(key), known)}")
    for item in fields:
        if (
            item.default is dataclasses.MISSING
            and item.default_factory is dataclasses.MISSING
            and item.name not in values
        ):
            raise ConfigError(f"{where}: `{item.name}` is missing.")
    return dict(values)
