"""The units of a half, each read from its files when it is first needed."""

from pathlib import Path

import torch

from ..coding import SymbolCoder
from ..errors import CheckpointError, ConfigError, nearest
from ..layers import BottleneckUnit
from .manifest import UNITS, Manifest
from .unit_pair import read_unit

__all__ = ["Bank"]


class Bank:
    """Units by name, checked against the manifest.

    Args:
        folder: of the half.
        manifest: the half's.
        device: where the units compute.
    """

    def __init__(self, folder: Path, manifest: Manifest, device: str | torch.device) -> None:
        self.folder, self.manifest, self.device = folder / UNITS, manifest, device
        self._units: dict[str, tuple[BottleneckUnit, SymbolCoder]] = {}

    def unit(self, name: str) -> tuple[BottleneckUnit, SymbolCoder]:
        """Returns a unit in eval mode, and its coder.

        Raises:
            ConfigError: the half has no unit of that name.
            CheckpointError: its files are missing or damaged, or not those that the manifest names.
        """
        names = self.manifest.names
        if name not in names:
            raise ConfigError(f"no unit `{name}`. {nearest(name, names)}")
        if name not in self._units:
            stored = read_unit(self.folder / name)
            if stored.description.digest != self.manifest.units[names.index(name)]["digest"]:
                raise CheckpointError(
                    f"{self.folder / name}.json is another unit than the manifest names: copy unit and manifest "
                    "again, from one export."
                )
            unit = stored.unit.eval().requires_grad_(False).to(self.device)
            unit = unit.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._units[name] = (unit, stored.tables.coder)
        return self._units[name]
