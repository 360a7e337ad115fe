"""Rendering variants of a config before it is built, so that aliases and `!join` paths see the new values."""

import itertools
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, nearest
from .plain import CALL, FAST_LOADER

__all__ = ["RenderedConfig", "load_sweep", "render_config"]


@dataclass(frozen=True)
class RenderedConfig:
    """One variant of a base config: its name, its text in the hosts' format, and the values that make it."""

    name: str
    text: str
    values: Mapping[str, Any]


def render_config(text: str, overrides: Mapping[str, Any]) -> str:
    """Returns a config's text with values replaced.

    The change is made on the parsed nodes, before any tag or alias is resolved: every alias of a replaced value and
    every `!join` built from it follow. A value and its aliases are one: replacing any of them replaces all.

    Args:
        text: a config in the hosts' format, tags and anchors included.
        overrides: new values by dotted path, e.g. `{"models.model.kwargs.unit.step": 2.0}`; list entries by number.
            A path may end in a key that its mapping lacks: it is then added. A mapping marked as `load_plain` marks
            `!import_call` becomes one.

    Raises:
        ConfigError: a path leads nowhere.
    """
    root = _compose(text)
    for path, value in overrides.items():
        _replace(root, path, _node_of(value))
    return yaml.serialize(root, width=120)


def load_sweep(path: Path) -> list[RenderedConfig]:
    """Reads a sweep file and renders all its points.

        base: spic_supervised.yaml          # beside the sweep file
        name: 'imagenet-{cut}-c{channels}'  # each name once
        name_path: models.model.experiment  # optional: where the name goes in the config
        paths:                              # what each value stands for
          cut: models.model.kwargs.cut
          channels: models.model.kwargs.unit.latent_channels
        grid: [{cut: [layer4.2, layer4.0], channels: [32, 64]}]   # all combinations of each entry

    Raises:
        ConfigError: an unknown key, a value without a path, or two points of one name.
    """
    try:
        sweep = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    known = ("base", "name", "name_path", "paths", "grid", "fixed")
    if not isinstance(sweep, dict) or not all(sweep.get(key) for key in ("base", "name", "paths", "grid")):
        raise ConfigError(f"{path} is no sweep: it needs `base`, `name`, `paths` and `grid`.")
    for key in sweep:
        if key not in known:
            raise ConfigError(f"unknown key `{key}` in sweep {path}. {nearest(str(key), known)}")
    base_path = path.parent / sweep["base"]
    if not base_path.is_file():
        raise ConfigError(f"the base of {path} is not at {base_path}; `base` is relative to the sweep's folder.")
    base = base_path.read_text()
    rendered: dict[str, RenderedConfig] = {}
    for values in _combinations(sweep["grid"]):
        overrides = dict(sweep.get("fixed") or {})
        for key, value in values.items():
            if key not in sweep["paths"]:
                raise ConfigError(f"`{key}` in {path} has no path. {nearest(key, sweep['paths'])}")
            targets = sweep["paths"][key]
            for target in [targets] if isinstance(targets, str) else targets:
                overrides[target] = value
        try:
            name = string.Formatter().vformat(sweep["name"], (), {key: _short(value) for key, value in values.items()})
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(f"`name` of {path} cannot be filled in: {error} is no value of the grid.") from error
        if "name_path" in sweep:
            overrides[sweep["name_path"]] = name
        if name in rendered:
            raise ConfigError(f"two points of {path} are called `{name}`; put what differs into `name`.")
        rendered[name] = RenderedConfig(name, render_config(base, overrides), values)
    return list(rendered.values())


def is_sweep(path: Path) -> bool:
    """Returns whether a file is a sweep rather than a config."""
    return path.name.startswith("sweep")


def _short(value: Any) -> str:
    return (
        str(value).replace(".", "_")
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _combinations(grid: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in grid:
        axes = [value if isinstance(value, list) else [value] for value in entry.values()]
        for combination in itertools.product(*axes):
            yield dict(zip(entry, combination, strict=True))


def _compose(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=FAST_LOADER)
    except yaml.YAMLError as error:
        raise ConfigError(f"the config is no YAML: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError("the config must be a mapping with `dependencies`, `datasets`, `models` and so on.")
    return root


def _node_of(value: Any) -> yaml.Node:
    node = yaml.compose(yaml.safe_dump(value, sort_keys=False), Loader=FAST_LOADER)
    assert node is not None
    _tag_calls(node)
    return node


def _tag_calls(node: yaml.Node) -> None:
    """Gives mappings that carry the mark of `load_plain` their tag back."""
    if isinstance(node, yaml.MappingNode):
        for key, value in list(node.value):
            if key.value == CALL:
                node.tag = f"!{value.value}"
                node.value.remove((key, value))
            else:
                _tag_calls(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _tag_calls(item)


def _replace(root: yaml.Node, path: str, new: yaml.Node) -> None:
    keys = path.split(".")
    node = root
    for depth, key in enumerate(keys):
        child = _child(node, key)
        if child is None:
            if depth == len(keys) - 1 and isinstance(node, yaml.MappingNode) and not key.startswith("_"):  # an anchor
                node.value.append((yaml.ScalarNode("tag:yaml.org,2002:str", key), new))
                return
            raise ConfigError(f"no `{'.'.join(keys[: depth + 1])}` in the config. {nearest(key, _keys(node))}")
        node = child
    node.__class__, node.__dict__ = new.__class__, new.__dict__  # in place, so that every alias follows


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
        return node.value[int(key)]
    return None


def _keys(node: yaml.Node) -> list[str]:
    return [str(name.value) for name, _ in node.value] if isinstance(node, yaml.MappingNode) else []
