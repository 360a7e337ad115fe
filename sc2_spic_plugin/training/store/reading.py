"""A feature store as a data set: what the hosts' loaders draw batches from in place of images."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import CheckpointError, ConfigError, DataError, nearest
from ...models import SplitModel
from ..stored_features import StoredFeatures
from .description import CALIBRATION, StoreDescription, shard_path

__all__ = ["FeatureStore"]

_OPEN_SHARDS = 4096


class FeatureStore(Dataset):
    """One part of a feature store; items are (`StoredFeatures`, target), which the default collate function batches.

    Of several views, one is drawn at random each time an image is asked for, from torch's default generator. Files are
    memory-mapped: what is read stays in the system's cache as long as there is room. In a config:

        imagenette/train: !import_call
          key: 'sc2_spic_plugin.training.store.FeatureStore'
          init:
            kwargs:
              root: 'out/store'
              part: 'train'

    `sc2-spic run CONFIG --store out/store` writes that into any config.

    Args:
        root: the store's folder.
        part: `train`, `selection` or `calibration`.

    Raises:
        DataError: no store, or one that was not finished.
        ConfigError: no such part.
    """

    def __init__(self, root: str | Path, part: str = "train") -> None:
        self.root = Path(root).expanduser()
        self.description = StoreDescription.load(self.root)
        if part not in self.description.parts:
            raise ConfigError(f"the store {root} has no part `{part}`. {nearest(part, self.description.parts)}")
        self.part, self.about = part, self.description.parts[part]
        missing = [n for n in range(self.about.shards) if not shard_path(self.root, part, n).is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} of {self.about.shards} files of part `{part}` are missing in {root}: the store was "
                "not finished; run the same `sc2-spic cache` command, which goes on where it stopped."
            )
        self._shards: OrderedDict[int, dict[str, Tensor]] = OrderedDict()

    def __len__(self) -> int:
        """Returns the number of images."""
        return self.about.images

    def __getitem__(self, index: int) -> tuple[StoredFeatures, Tensor]:
        """Returns a view of one image, and its label, or -1 where none was stored."""
        if not 0 <= index < self.about.images:
            raise IndexError(index)
        view = int(torch.randint(self.about.views, ())) if self.about.views > 1 else 0
        return self.row(view * self.about.images + index)

    def row(self, row: int) -> tuple[StoredFeatures, Tensor]:
        """Returns one row: row `view * images + image`."""
        shard, place = divmod(row, self.about.rows_per_shard)
        tensors = self._shard(shard)
        original: dict[str, Any] = {}
        for name in self.about.outputs:
            output, _, entry = name.partition(".")
            value = tensors[f"original.{name}"][place]
            if entry:
                original.setdefault(output, {})[entry] = value
            else:
                original[output] = value
        target = tensors["target"][place].long() if self.about.labelled else torch.tensor(-1)
        return StoredFeatures(tensors["features"][place], original), target

    def for_calibration(self) -> "FeatureStore":
        """Returns the training images under the transform they are measured with."""
        return FeatureStore(self.root, CALIBRATION)

    def check(self, model: SplitModel) -> None:
        """Refuses a model whose features these are not.

        Raises:
            CheckpointError: another network, cut or input size.
        """
        self._compare(model, "network", "cut", "input_size")

    def check_network(self, model: SplitModel) -> None:
        """Refuses a model of another network, wherever it is cut.

        Raises:
            CheckpointError: another network or input size.
        """
        self._compare(model, "network", "input_size")

    def _compare(self, model: SplitModel, *keys: str) -> None:
        network = bytes(model.network_digest.tolist()).hex()
        values = {"network": network, "cut": model.cut, "input_size": list(model.input_size)}
        own = {key: values[key] for key in keys}
        described = self.description
        theirs = {"network": described.network_sha256, "cut": described.cut, "input_size": described.input_size}
        differing = [f"{key} ({theirs[key]}, here {own[key]})" for key in own if own[key] != theirs[key]]
        if differing:
            raise CheckpointError(
                f"the store {self.root} was built with another {', '.join(differing)}; build one for this config with "
                "`sc2-spic cache`."
            )

    def _shard(self, number: int) -> dict[str, Tensor]:
        if number in self._shards:
            self._shards.move_to_end(number)
            return self._shards[number]
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = shard_path(self.root, self.part, number)
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}); remove it and run `sc2-spic cache` again.") from error
        rows = min(self.about.rows_per_shard, self.about.rows - number * self.about.rows_per_shard)
        wanted = {"features", *(f"original.{name}" for name in self.about.outputs)}
        wanted |= {"target"} if self.about.labelled else set()
        if set(tensors) != wanted or any(len(value) != rows for value in tensors.values()):
            raise DataError(f"{path} is not what its store says; remove it and run `sc2-spic cache` again.")
        self._shards[number] = tensors
        if len(self._shards) > _OPEN_SHARDS:
            self._shards.popitem(last=False)
        return tensors
