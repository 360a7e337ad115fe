"""What a feature store says about itself: which network, cut, data and transforms its rows come from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, DataError
from ...ops import write_atomic

__all__ = ["CALIBRATION", "DESCRIPTION", "SELECTION", "TRAIN", "Part", "StoreDescription"]

DESCRIPTION = "store.json"
TRAIN, SELECTION, CALIBRATION = "train", "selection", "calibration"
_FORMAT, _VERSION = "sc2-spic feature store", 1


@dataclass(frozen=True)
class Part:
    """The rows of one part: row `view * images + image`.

    Attributes:
        images: how many images.
        views: how often each was drawn, transformed anew each time.
        rows_per_shard: rows of each file but the last.
        dataset: the data set as its config describes it, without its folder.
        data_sha256: of the images' ids and file sizes.
        transform: what was done to each image, in words.
        labelled: whether labels were kept.
        outputs: names of the original network's outputs that were kept.
    """

    images: int
    views: int
    rows_per_shard: int
    dataset: Any
    data_sha256: str
    transform: str
    labelled: bool
    outputs: list[str]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.images * self.views

    @property
    def shards(self) -> int:
        """How many files hold them."""
        return -(-self.rows // self.rows_per_shard)


@dataclass(frozen=True)
class StoreDescription:
    """A whole store.

    Attributes:
        network_sha256: of the network's tensors.
        cut: the module after which the network was split.
        input_size: (channels, height, width) of every view.
        precision: what the front-end was computed in.
        seed: the views of image and view number follow from it.
        parts: by name: `train`, `selection`, `calibration`.
        carried_from: earlier cuts whose stores this one was carried on from, first to last; at each of them features
            were rounded to half precision. None of them where all rows were computed from images.
    """

    network_sha256: str
    cut: str
    input_size: list[int]
    precision: str
    seed: int
    parts: dict[str, Part]
    carried_from: list[str] = field(default_factory=list)

    def differences(self, other: "StoreDescription") -> list[str]:
        """Returns what differs, in words; empty if both describe the same rows."""
        own, theirs = asdict(self), asdict(other)
        found = [key for key in own if key != "parts" and own[key] != theirs[key]]
        for name in sorted({*self.parts, *other.parts}):
            if name not in self.parts or name not in other.parts:
                found.append(f"part `{name}`")
                continue
            one, two = own["parts"][name], theirs["parts"][name]
            found += [f"{key} of part `{name}`" for key in one if one[key] != two[key]]
        return found

    def save(self, folder: Path) -> Path:
        """Writes `store.json`."""
        content = {"format": _FORMAT, "format_version": _VERSION, **asdict(self)}
        return write_atomic(folder / DESCRIPTION, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "StoreDescription":
        """Reads a store's description.

        Raises:
            DataError: there is none, or it is none of ours.
            CheckpointError: it is of another version.
        """
        path = Path(folder) / DESCRIPTION
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise DataError(f"no feature store in {folder}; build one with `sc2-spic cache CONFIG`.") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}); build the store anew.") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise DataError(f"{path} describes no feature store; give a folder that `sc2-spic cache` made.")
        if content.get("format_version") != _VERSION:
            raise CheckpointError(
                f"{path} has format version {content.get('format_version')!r}, this plugin reads {_VERSION}: build "
                "the store anew."
            )
        try:
            parts = {name: Part(**part) for name, part in content["parts"].items()}
            names = [each.name for each in fields(cls) if each.name in content and each.name != "parts"]
            return cls(**{name: content[name] for name in names}, parts=parts)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} lacks something ({error}); build the store anew.") from error


def shard_path(folder: Path, part: str, shard: int) -> Path:
    """Returns the file of one shard."""
    return folder / part / f"{shard:06d}.safetensors"


def described_dataset(dataset: Any) -> Any:
    """Returns a data set's plain config without its folders, which may differ from machine to machine."""
    if isinstance(dataset, Mapping):
        folders = {key for key in ("root", "_root") if isinstance(dataset.get(key), str)}
        return {str(key): described_dataset(value) for key, value in dataset.items() if key not in folders}
    if isinstance(dataset, list | tuple):
        return [described_dataset(value) for value in dataset]
    return dataset if isinstance(dataset, str | int | float | bool | None) else str(dataset)
