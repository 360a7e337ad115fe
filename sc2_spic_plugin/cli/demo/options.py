"""What a demo was asked for."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError, nearest
from ...leaderboard.protocol import TASKS

__all__ = ["DemoOptions"]


@dataclass(frozen=True)
class DemoOptions:
    """What `sc2-spic demo` was asked for; see its help."""

    out: Path
    quick: bool = False
    data: Path | None = None
    network: Path | None = None
    epochs: int | None = None
    device: str = "cpu"
    task: str = "classification"

    def __post_init__(self) -> None:
        """Checks that the options go together.

        Raises:
            ConfigError: an unknown task, or weights without images.
        """
        if self.task not in TASKS:
            raise ConfigError(f"unknown task `{self.task}`. {nearest(self.task, TASKS)}")
        if self.data is None and self.network is not None:
            raise ConfigError("--network needs --data: the synthetic demo trains its own network.")

    def suite_name(self) -> str:
        """Returns the name of the suite that fits."""
        name = "demo" if self.task == "classification" else f"demo_{self.task}"
        return name + ("" if self.data is None else "_folder") + ("_quick" if self.quick else "")
