"""Checking a file of any kind: a config, every point of a sweep, every point of a suite."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .check import check_config
from .locate import resolve_config
from .plain import load_plain
from .render import is_sweep, load_sweep, render_config
from .suite import load_suite

__all__ = ["check_file"]


def check_file(path: Path) -> dict[str, list[str]]:
    """Returns what is wrong by point, one sentence each; a config has one point, called "".

    Raises:
        ConfigError: the file, or one that it names, cannot be read, or a value has no place in the config.
    """
    if is_sweep(path):
        return {point.name: check_config(point.text) for point in load_sweep(path)}
    text = path.read_text()
    if "methods" not in load_plain(text):
        return {"": check_config(text)}
    suite = load_suite(path)

    def check(config: str, *values: Mapping[str, Any]) -> list[str]:
        merged = {name: value for each in (suite.shared, *values) for name, value in each.items()}
        return check_config(render_config(resolve_config(config).read_text(), merged))

    found = {"network": check(suite.network.config, suite.network.values)}
    for method in suite.methods:
        for name, values in method.points.items():
            found[f"{method.name} {name}"] = check(method.config, method.values, values)
    return found
