"""Checking a file of any kind: a config, every point of a sweep, every point of a suite."""

from pathlib import Path

from .check import check_config
from .plain import load_plain
from .render import is_sweep, load_sweep
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
    found = {"network": check_config(suite.render_network())}
    for method in suite.methods:
        found |= {f"{method.name} {point}": check_config(text) for point, text in suite.render(method)}
    return found
