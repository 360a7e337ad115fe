"""Where the shipped configs are."""

from pathlib import Path

from ..errors import ConfigError, nearest

__all__ = ["config_root", "list_configs", "resolve_config"]


def config_root() -> Path:
    """Returns the folder of the shipped configs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for root in (package / "yaml_configs", package.parent / "yaml_configs"):
        if root.is_dir():
            return root
    raise ConfigError("the shipped configs are not installed; reinstall the package.")


def list_configs() -> list[str]:
    """Returns the names of all shipped configs: their paths below the root, sorted."""
    root = config_root()
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.yaml"))


def resolve_config(name: str | Path) -> Path:
    """Returns a config's path from a path, or from the name of a shipped config (with or without `.yaml`).

    Raises:
        ConfigError: there is no such file or name.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    for candidate in (config_root() / path, config_root() / f"{path}.yaml"):
        if candidate.is_file():
            return candidate
    raise ConfigError(f"no config `{name}`: neither a file nor a shipped config. {nearest(str(name), list_configs())}")
