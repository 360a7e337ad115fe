"""What an exported half is: its network part by digest, its units in order, and what its images and classes are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from ..coding.payload import MAX_UNITS
from ..errors import CheckpointError
from ..ops import write_atomic
from ..version import __version__
from .sealed_json import SealedFormat, content_digest

__all__ = ["DEVICE", "MANIFEST", "PROGRAMS", "SERVER", "UNITS", "Manifest", "half_folder"]

DEVICE, SERVER = "device", "server"
PROGRAMS = {DEVICE: "front_end.pt2", SERVER: "back_end.pt2"}
"""The network part of each half."""
MANIFEST = "manifest.json"
UNITS = "units"
"""The folder of the units' files."""

_FORMAT = SealedFormat("sc2-spic half", 1, "half of a model", "`sc2-spic export`")


@dataclass(frozen=True)
class Manifest:
    """All about one half that its network part and its units do not say themselves.

        HALF/manifest.json      this
        HALF/front_end.pt2      or back_end.pt2
        HALF/units/NAME.safetensors, HALF/units/NAME.json

    Attributes:
        half: `device` or `server`.
        task: `classification` or `segmentation`.
        cut: the module after which the network is split.
        network_digest: of the whole network's tensors, SHA-256 in hex.
        input_size: (channels, height, width) of the images whose sizes are the default.
        default_sizes: height and width of the features, and the other sizes that cross, at that input size.
        program_sha256: of the network part's file.
        any_size: whether it takes images of any size, or of `input_size` alone.
        units: name and `UnitDescription.digest` of each unit, in the order in which payloads count them.
        preprocessing: steps from picture to network input, see `prepare`; None: they are not known. Of the device.
        classes: names of the classes; None: they are not known. Of the server.
        torch_version: of the torch that wrote the network part.
        plugin_version: of the plugin that wrote it.
    """

    half: str
    task: str
    cut: str
    network_digest: str
    input_size: list[int]
    default_sizes: list[int]
    program_sha256: str
    any_size: bool
    units: list[dict[str, str]]
    preprocessing: list[dict[str, Any]] | None = None
    classes: list[str] | None = None
    torch_version: str = str(torch.__version__)
    plugin_version: str = __version__

    @property
    def names(self) -> list[str]:
        """The units' names, in order."""
        return [unit["name"] for unit in self.units]

    def bank_digest(self, index: int) -> str:
        """Returns the SHA-256 (hex) of the bank up to the unit of this index.

        Containers carry it, so that units added behind leave what the others made readable, at both ends.
        """
        digests = [unit["digest"] for unit in self.units[: index + 1]]
        return content_digest({"network": self.network_digest, "cut": self.cut, "sizes": self.default_sizes,
                               "units": digests})  # fmt: skip

    def write(self, folder: Path) -> Path:
        """Writes `manifest.json`."""
        return write_atomic(folder / MANIFEST, _FORMAT.text(asdict(self)))

    @classmethod
    def read(cls, folder: Path, half: str) -> "Manifest":
        """Reads `manifest.json`, which must be that of a `half`.

        Raises:
            CheckpointError: no manifest, one of the other half or of another version, or one that was altered.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise CheckpointError(f"no {path}; give the {half} half that `sc2-spic export` wrote.")
        manifest = cls(**_FORMAT.read(path, [field.name for field in fields(cls)]))
        if manifest.half != half:
            raise CheckpointError(
                f"{folder} is the {manifest.half} half; give the {half} half (`sc2-spic export` writes both)."
            )
        if not manifest._makes_sense():
            raise CheckpointError(f"{path} describes no half of a model; export it again.")
        return manifest

    def _makes_sense(self) -> bool:
        try:
            names, digests = self.names, [unit["digest"] for unit in self.units]
            texts = [self.task, self.cut, self.network_digest, self.program_sha256, self.torch_version, *names,
                     *digests, *(self.classes or [])]  # fmt: skip
            return (
                all(isinstance(text, str) for text in texts)
                and 1 <= len(set(names)) == len(names) <= MAX_UNITS
                and all(name.isidentifier() for name in names)  # they name files
                and _are_sizes(self.input_size, 3)
                and _are_sizes(self.default_sizes, 2)
                and (self.preprocessing is None or all(isinstance(step, dict) for step in self.preprocessing))
            )
        except (TypeError, KeyError, AttributeError):
            return False


def half_folder(folder: str | Path, half: str) -> Path:
    """Returns the folder of a half: `folder` itself, or what `sc2-spic export` put into it under the half's name."""
    folder = Path(folder).expanduser()
    return folder / half if not (folder / MANIFEST).is_file() and (folder / half).is_dir() else folder


def _are_sizes(sizes: Sequence[Any], least: int) -> bool:
    return len(sizes) >= least and all(type(size) is int and size >= 0 for size in sizes)
