"""Opening a config: found, its values replaced, checked, built, and joined with the protocol it is measured under."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..configs import check_config, render_config, resolve_config
from ..configs.plain import load_plain
from ..errors import ConfigError
from ..leaderboard import Protocol, load_protocol
from ..ops import write_atomic
from ..training.build import BuiltConfig, build_config, quiet_hosts, seed_everything
from .preparing import about_result, check_data, check_protocol, checked_device

__all__ = ["OpenedConfig", "open_config"]


class OpenedConfig(NamedTuple):
    """A config that can be measured.

    Attributes:
        path: the config that was asked for.
        text: what was built, with all values replaced.
        built: its data sets and models.
        about: what it says about its result, with defaults.
        protocol: what it is measured under.
    """

    path: Path
    text: str
    built: BuiltConfig
    about: dict[str, Any]
    protocol: Protocol


def open_config(
    config: str | Path,
    rendered: Path,
    device: str,
    seed: int,
    protocol: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    is_measured: bool = True,
) -> OpenedConfig:
    """Builds a config with its random generators seeded.

    Args:
        config: a path, or the name of a shipped config.
        rendered: where the text that is built is written.
        device: torch device string.
        seed: of all random generators.
        protocol: name or path of a protocol that takes the place of the config's.
        overrides: values to replace, by dotted path.
        is_measured: whether the data sets must be those of the protocol.

    Raises:
        SpicError: the config cannot be built, or is not measured as its protocol says.
    """
    path = resolve_config(config)
    text = render_config(path.read_text(), overrides) if overrides else path.read_text()
    problems = check_config(text)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"{path} cannot be run:\n{listed}")
    place = checked_device(device)
    write_atomic(rendered, text)
    quiet_hosts()
    seed_everything(seed)
    named = protocol or (load_plain(text).get("result") or {}).get("protocol")
    built = build_config(rendered, place, None if named is None else load_protocol(named).task)
    about = about_result(built, path, protocol)
    measured_under = load_protocol(about["protocol"])
    check_data(built)
    if is_measured:
        check_protocol(built, measured_under)
    return OpenedConfig(path, text, built, about, measured_under)
