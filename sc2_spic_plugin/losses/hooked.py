"""Reading a hooked module's output, with an error that says which line of the config is missing."""

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError

__all__ = ["hooked_output"]


def hooked_output(io_dict: Mapping[str, Mapping[str, Any]], path: str) -> Any:
    """Returns the output that a forward hook kept for `path`: a tensor, or a dict of tensors.

    Raises:
        ConfigError: the path is not hooked, or its module did not run.
    """
    if "output" not in io_dict.get(path, {}):
        raise ConfigError(
            f"the loss reads the output of `{path}`, which no hook kept: add '{path}' to the model's "
            "`forward_hook: {output: [...]}` in this training stage (and `distills: True` for `original.*`)."
        )
    return io_dict[path]["output"]
