"""Checking what a config hands to a model: unknown keys are refused with the nearest known one."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..coding import SymbolTables
from ..coding.payload import MAX_UNITS
from ..errors import ConfigError, nearest
from ..layers import Geometry, published_geometry

__all__ = [
    "check_keys",
    "check_new_unit",
    "checked_analysis",
    "checked_tables",
    "checked_unit",
    "checked_unit_name",
    "example_input",
    "parameter_names",
]

_UNIT = ("latent_channels", "stride", "step", "topology", "geometry", "output_activation")
_PUBLISHED = {
    "task": ("classification", "segmentation"),
    "split": ("S1", "S2", "S3", "US1", "US2"),
}
_ANALYSIS = ("analyzer_configs", "analyzes_after_compress")


def parameter_names(function: Callable[..., Any], *without: str) -> list[str]:
    """Returns the names of a function's or class's parameters, in order."""
    return [name for name in inspect.signature(function).parameters if name not in without]


def check_keys(mapping: Any, known: Iterable[str], where: str) -> None:
    """Refuses what is no mapping, or has a key that nothing reads.

    Raises:
        ConfigError: the message names the nearest known key.
    """
    known = list(known)
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where} must be a mapping with {', '.join(f'`{key}`' for key in known)}, got {mapping!r}.")
    for key in mapping:
        if key not in known:
            raise ConfigError(f"unknown key `{key}` for {where}. {nearest(str(key), known)}")


def checked_unit(name: str, kwargs: Any) -> dict[str, Any]:
    """Returns the keyword arguments of one unit.

    A released unit's kernels and paddings are asked for by task and split; its stride completes them:

        unit: {latent_channels: 64, stride: 2, geometry: {published: {task: 'classification', split: 'S3'}}}

    Raises:
        ConfigError: an unknown or missing key, or a name that no checkpoint can hold.
    """
    check_keys(kwargs, _UNIT, f"unit `{name}`")
    if "latent_channels" not in kwargs:
        raise ConfigError(f"unit `{name}` needs `latent_channels`.")
    if not name.isidentifier():
        raise ConfigError(f"a unit's name must be made of letters, digits and _, got `{name}`.")
    checked = dict(kwargs)
    if checked.get("geometry") is not None:
        checked["geometry"] = _geometry(f"unit `{name}`", checked["geometry"], checked.get("stride"))
    return checked


def _geometry(where: str, geometry: Any, stride: Any) -> Geometry:
    """Returns a geometry made in code as it is, or the released one that a config names."""
    if hasattr(geometry, "latent_size"):
        return geometry  # type: ignore[no-any-return]
    where = f"`geometry` of {where}"
    check_keys(geometry, ("published",), where)
    if "published" not in geometry:
        raise ConfigError(f"{where} is empty; give `published`, or leave it out.")
    published = geometry["published"]
    check_keys(published, _PUBLISHED, f"`published` {where}")
    for key, known in _PUBLISHED.items():
        if published.get(key) not in known:
            raise ConfigError(
                f"`{key}` of the published {where} is {published.get(key)!r}. {nearest(str(published.get(key)), known)}"
            )
    if stride is None:
        raise ConfigError(f"the published {where} needs the unit's `stride` beside it.")
    return published_geometry(published["task"], published["split"], stride)


def checked_tables(tables: Any) -> dict[str, Any]:
    """Returns the keyword arguments of every unit's tables.

    Raises:
        ConfigError: an unknown key.
    """
    checked = dict(tables or {})
    check_keys(checked, parameter_names(SymbolTables, "channels", "latent_size"), "`tables`")
    return checked


def check_new_unit(name: str, bank: nn.ModuleDict) -> None:
    """Refuses a unit that a bank has no place for.

    Raises:
        ConfigError: a name that is taken or cannot be used, or a full bank.
    """
    if name in bank:
        raise ConfigError(f"the bank has a unit `{name}`; choose another name, or drop that one first.")
    if not name.isidentifier() or hasattr(bank, name):
        raise ConfigError(f"`{name}` cannot name a unit; choose another name of letters, digits and _.")
    if len(bank) >= MAX_UNITS:
        raise ConfigError(f"a bank has at most {MAX_UNITS} units; drop one first, or make a second bank.")


def checked_unit_name(name: str, bank: Iterable[str]) -> str:
    """Returns the name of a unit of a bank.

    Raises:
        ConfigError: no unit has that name.
    """
    known = list(bank)
    if name not in known:
        raise ConfigError(f"no unit `{name}`. {nearest(name, known)}")
    return name


def checked_analysis(config: Any) -> tuple[list[dict[str, Any]], bool]:
    """Returns sc2bench's analyzer configs, each with kwargs, and whether they are used after compressing.

    Raises:
        ConfigError: an unknown key, or an unknown analyzer, which the host turns into None.
    """
    from sc2bench.analysis import ANALYZER_CLASS_DICT

    check_keys(config, _ANALYSIS, "`analysis_config`")
    analyzers: Sequence[Any] = config.get("analyzer_configs") or ()
    for analyzer in analyzers:
        check_keys(analyzer, ("key", "kwargs"), "an analyzer")
        key = str(analyzer.get("key"))
        if key not in ANALYZER_CLASS_DICT:
            raise ConfigError(f"unknown analyzer `{key}`. {nearest(key, ANALYZER_CLASS_DICT)}")
    checked = [{"key": analyzer["key"], "kwargs": dict(analyzer.get("kwargs") or {})} for analyzer in analyzers]
    return checked, bool(config.get("analyzes_after_compress", False))


def example_input(input_size: Sequence[int]) -> Tensor:
    """Returns one random image (1, channels, height, width), the same at every call.

    Raises:
        ConfigError: not three whole numbers of 1 or more.
    """
    if len(input_size) != 3 or any(not isinstance(n, int) or n < 1 for n in input_size):
        raise ConfigError(f"input_size must be [channels, height, width], got {list(input_size)!r}.")
    return torch.randn(1, *input_size, generator=torch.Generator().manual_seed(0))
