"""Values given on the command line."""

from collections.abc import Iterable
from typing import Any

import yaml

from ..errors import ConfigError

__all__ = ["parse_overrides"]


def parse_overrides(assignments: Iterable[str] | None) -> dict[str, Any]:
    """Parses `a.b.c=value`; values are YAML.

    Raises:
        ConfigError: no equals sign, no name, or a value that is no YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments or []:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set takes NAME=VALUE, got `{assignment}`.")
        try:
            overrides[path] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"the value of `--set {assignment}` is no YAML; put quotes around it.") from error
    return overrides
