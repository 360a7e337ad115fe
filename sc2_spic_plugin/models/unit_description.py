"""What the JSON file beside an exported unit says: how to build it, and which network, cut and tensors it goes with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..coding import SymbolTables
from ..errors import CheckpointError, ConfigError
from ..layers import BottleneckUnit, CoveringGeometry, Geometry, PublishedGeometry
from ..version import __version__

__all__ = ["FORMAT_VERSION", "UnitDescription"]

FORMAT_VERSION = 1

_FORMAT = "sc2-spic unit"
_GEOMETRIES: dict[str, type] = {"covering": CoveringGeometry, "published": PublishedGeometry}


@dataclass(frozen=True)
class UnitDescription:
    """All about one unit but its tensors; as JSON it carries the format's version and a digest of itself.

    Attributes:
        name: the unit's name in the bank it came from.
        cut: the module after which the network is split.
        network_digest: of the network's tensors, SHA-256 in hex.
        default_sizes: height and width of the features, and the other sizes that cross, at the model's `input_size`.
        unit: arguments of `BottleneckUnit`, the quantiser step among them, without `geometry`.
        geometry: `kind` and the arguments of that kind.
        tables: arguments of `SymbolTables`, without channels and latent size.
        tables_digest: `StaticCoder.digest`.
        tensors_digest: of the unit's and the tables' tensors.
        plugin_version: of the plugin that wrote it.
    """

    name: str
    cut: str
    network_digest: str
    default_sizes: list[int]
    unit: dict[str, Any]
    geometry: dict[str, Any]
    tables: dict[str, Any]
    tables_digest: str
    tensors_digest: str
    plugin_version: str = __version__

    @staticmethod
    def of_unit(unit: BottleneckUnit, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `unit` and `geometry` of a unit that was made with `arguments`.

        Raises:
            ConfigError: a geometry that is none of ours.
        """
        kinds = [kind for kind, cls in _GEOMETRIES.items() if type(unit.geometry) is cls]
        if not kinds:
            raise ConfigError(
                f"a {type(unit.geometry).__name__} cannot be described in a file; export units whose geometry is one "
                f"of {', '.join(cls.__name__ for cls in _GEOMETRIES.values())}."
            )
        return {
            "unit": {
                "in_channels": unit.in_channels,
                "latent_channels": unit.latent_channels,
                "stride": unit.stride,
                "step": unit.step,
                "topology": arguments.get("topology", "separable"),
                "output_activation": arguments.get("output_activation", "relu"),
            },
            "geometry": {"kind": kinds[0], **asdict(unit.geometry)},  # type: ignore[call-overload]
        }

    @staticmethod
    def of_tables(tables: SymbolTables) -> dict[str, Any]:
        """Returns the arguments that make tables of these shapes again."""
        return {
            "alphabet_size": tables.alphabet_size,
            "decay": tables.decay,
            "max_tables": len(tables.frequencies),
            "training_images": tables.training_images,
        }

    def arguments(self) -> dict[str, Any]:
        """Returns the keyword arguments of `BottleneckUnit` but `in_channels`."""
        arguments = {key: value for key, value in self.unit.items() if key != "in_channels"}
        return {**arguments, "geometry": self._geometry()}

    def build_unit(self) -> BottleneckUnit:
        """Builds the unit, with weights as PyTorch draws them."""
        return BottleneckUnit(self.unit["in_channels"], **self.arguments())

    def build_tables(self) -> SymbolTables:
        """Builds its tables, empty."""
        height, width = self.default_sizes[:2]
        latent_size = self._geometry().latent_size((height, width))
        return SymbolTables(self.unit["latent_channels"], latent_size, **self.tables)

    def to_json(self) -> str:
        """Returns the file's text."""
        content = {"format": _FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> "UnitDescription":
        """Reads a file's text back.

        Raises:
            CheckpointError: no such description, one of another version, or one that was altered.
        """
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({error}); copy it again, or export the unit again."
            ) from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise CheckpointError(f"{path} describes no unit; give a file that `export_unit` wrote.")
        if content.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has format version {content.get('format_version')!r} (written by plugin "
                f"{content.get('plugin_version')!r}), this plugin ({__version__}) reads {FORMAT_VERSION}: export it "
                "with this plugin, or load it with that one."
            )
        digest, names = content.pop("digest", None), {field.name for field in fields(cls)}
        if digest != _digest(content) or set(content) != {"format", "format_version", *names}:
            raise CheckpointError(f"{path} was altered after it was written: copy it again, or export the unit again.")
        return cls(**{name: content[name] for name in names})

    def _geometry(self) -> Geometry:
        arguments = {key: value for key, value in self.geometry.items() if key != "kind"}
        return _GEOMETRIES[self.geometry["kind"]](**arguments)  # type: ignore[no-any-return]


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
