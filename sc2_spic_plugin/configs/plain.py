"""Reading a config without building anything: tags become marked mappings."""

from typing import Any

import yaml

from ..errors import ConfigError

__all__ = ["CALL", "FAST_LOADER", "load_plain"]

CALL = "__call__"
"""Key under which a `!import_call` or `!import_get` mapping keeps its tag."""


FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, in C where PyYAML was built with it: a sweep is many configs."""


class _PlainLoader(FAST_LOADER):  # type: ignore[misc]  # one of two bases
    """Resolves `!join` and paths, leaves every other tag unbuilt."""


def _construct(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        values = loader.construct_sequence(node, deep=True)
        if suffix == "join":
            return "".join(str(value) for value in values)
        return {CALL: suffix, "args": values}
    if isinstance(node, yaml.MappingNode):
        return {CALL: suffix, **loader.construct_mapping(node, deep=True)}
    return loader.construct_scalar(node)  # type: ignore[arg-type]


_PlainLoader.add_multi_constructor("!", _construct)


def load_plain(text: str) -> dict[str, Any]:
    """Returns a config as plain data; nothing is imported, opened or built.

    Raises:
        ConfigError: not YAML, or not a mapping.
    """
    try:
        config = yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"the config is no YAML: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError("the config must be a mapping with `dependencies`, `datasets`, `models` and so on.")
    return config
