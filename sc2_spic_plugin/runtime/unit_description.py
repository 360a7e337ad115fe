"""What the JSON file beside an exported unit says: how to build it, and which network, cut and tensors it goes with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..coding import SymbolTables
from ..errors import ConfigError
from ..layers import BottleneckUnit, CoveringGeometry, Geometry, PublishedGeometry
from ..version import __version__
from .sealed_json import SealedFormat, content_digest

__all__ = ["UnitDescription"]

_FORMAT = SealedFormat("sc2-spic unit", 1, "unit", "`export_unit`")
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
        tables_digest: `digest` of their coder.
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
            "modes": tables.modes,
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
        return SymbolTables(
            self.unit["latent_channels"], latent_size, **{"modes": 1, **self.tables}
        )  # once there were none

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what decides which codes and features the unit gives: all but its name and who wrote it."""
        content = asdict(self)
        del content["name"], content["plugin_version"]
        return content_digest(content)

    def to_json(self) -> str:
        """Returns the file's text."""
        return _FORMAT.text(asdict(self))

    @classmethod
    def read(cls, path: Path) -> "UnitDescription":
        """Reads a file's text back.

        Raises:
            CheckpointError: no such description, one of another version, or one that was altered.
        """
        return cls(**_FORMAT.read(path, [field.name for field in fields(cls)]))

    def _geometry(self) -> Geometry:
        arguments = {key: value for key, value in self.geometry.items() if key != "kind"}
        return _GEOMETRIES[self.geometry["kind"]](**arguments)  # type: ignore[no-any-return]
