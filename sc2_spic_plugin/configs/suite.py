"""A suite: the original network, the methods with their points, and the codecs of one comparison."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, nearest

__all__ = ["MethodPlan", "NetworkPlan", "Suite", "load_suite"]


@dataclass(frozen=True)
class NetworkPlan:
    """The config that trains the original network, and values for it.

    Attributes:
        config: the config, relative to the configs' root.
        architecture: the network's name where no weights are given; by default the config's.
        kwargs: its arguments where no weights are given; by default the config's.
        values: values for its training.
    """

    config: str
    architecture: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodPlan:
    """One curve: a config, values that all its points share, and the values of each point by name.

    Attributes:
        method: key of the method, see `leaderboard.styles`.
        config: the config, relative to the configs' root.
        points: values of each point, by the point's name.
        supervision: `supervised`, `unsupervised` or None.
        description: one sentence for the result file.
        network_path: where in the config the original network is described (`key`, `kwargs`, `src_ckpt`).
        values: values that all points share.
    """

    method: str
    config: str
    points: Mapping[str, Mapping[str, Any]]
    supervision: str | None = None
    description: str = ""
    network_path: str = "models.model.kwargs.network"
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the curve, unique within a suite."""
        return self.method + (f"-{self.supervision}" if self.supervision else "")


@dataclass(frozen=True)
class Suite:
    """What one comparison trains and measures.

    Attributes:
        name: what it is called.
        network: how the original network is trained where no weights are given.
        methods: the curves that are trained.
        codecs: qualities by image codec.
        shared: values for the configs of all methods and of the network.
        precision: `fp32` or `bf16`, of training.
        minimum_steps: a folder of few images is trained for so many more epochs that every method takes these steps.
    """

    name: str
    network: NetworkPlan
    methods: list[MethodPlan]
    codecs: Mapping[str, list[int]] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fp32"
    minimum_steps: int = 0


def load_suite(path: Path) -> Suite:
    """Reads a suite file; `paths` in it names values once, so that methods can say `weight: 2.0`.

        name: demo
        paths:
          weight: train.stage1.criterion.kwargs.sub_terms.rate.weight
        network: {config: smoke/network.yaml}
        methods:
          - method: spic_static_table
            supervision: supervised
            config: smoke/spic_supervised.yaml
            points: {low: {weight: 9.0}, high: {weight: 1.0}}
        codecs: {jpeg: [5, 25, 50]}

    Raises:
        ConfigError: not YAML, an unknown or missing key, or a value without a path.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no suite: it must be a mapping with `name` and `methods`.")
    paths = content.pop("paths", {})
    content = _checked(content, Suite, str(path))
    methods = [_checked(method, MethodPlan, f"{path}, methods") for method in content["methods"]]
    for method in methods:
        if not method["points"]:
            raise ConfigError(f"method `{method['method']}` of {path} has no points; give one or more.")
        method["values"] = _resolved(method.get("values") or {}, paths, path)
        method["points"] = {name: _resolved(values, paths, path) for name, values in method["points"].items()}
    content["methods"] = [MethodPlan(**method) for method in methods]
    content["shared"] = _resolved(content.get("shared") or {}, paths, path)
    network = _checked(content["network"], NetworkPlan, f"{path}, network")
    network["values"] = _resolved(network.get("values") or {}, paths, path)
    content["network"] = NetworkPlan(**network)
    suite = Suite(**content)
    names = [method.name for method in suite.methods]
    if len(set(names)) != len(names):
        raise ConfigError(f"two methods of {path} have the same name; merge their points.")
    return suite


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


def _resolved(values: Mapping[str, Any], paths: Mapping[str, str], path: Path) -> dict[str, Any]:
    resolved = {}
    for key, value in values.items():
        if key not in paths and "." not in key:
            raise ConfigError(f"`{key}` in {path} has no path. {nearest(key, paths)}")
        resolved[paths.get(key, key)] = value
    return resolved
