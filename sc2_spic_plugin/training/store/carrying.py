"""Carrying a store on to a later cut: its features pass the modules between the cuts, images are not read again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from ...errors import ConfigError, CutError
from ...models import SplitModel, cut_network
from ...models.arguments import example_input
from .description import StoreDescription
from .reading import FeatureStore

__all__ = ["EarlierStore"]


class EarlierStore:
    """A finished store of an earlier cut of the same network, whose rows become those of a later cut.

    Features were rounded to half precision at the earlier cut; the later store's description names it. The original
    network's outputs and the labels are the earlier store's.

    Args:
        folder: of the earlier store.
        model: cut at the later module.

    Raises:
        DataError: no store, or one that was not finished.
        CheckpointError: a store of another network.
        ConfigError: a store whose cut does not lie before the model's.
    """

    def __init__(self, folder: Path, model: SplitModel) -> None:
        self.folder, self.description = folder, StoreDescription.load(folder)
        self._parts = {name: FeatureStore(folder, name) for name in self.description.parts}
        for store in self._parts.values():
            store.check_network(model)
        self._device = model.network_digest.device
        self._between = self._modules_between(model)

    def check(self, wanted: StoreDescription) -> StoreDescription:
        """Returns the description of a store carried on from this one.

        Args:
            wanted: as it would be from images.

        Raises:
            ConfigError: rows that this store does not have.
        """
        own = self.description
        problems = [key for key in ("precision", "seed") if getattr(own, key) != getattr(wanted, key)]
        for name, part in wanted.parts.items():
            if name not in own.parts:
                problems.append(f"part `{name}`")
                continue
            earlier = own.parts[name]
            same = ("images", "dataset", "data_sha256", "transform")
            problems += [f"{key} of part `{name}`" for key in same if getattr(earlier, key) != getattr(part, key)]
            lacking = [output for output in part.outputs if output not in earlier.outputs]
            problems += [f"views of part `{name}`"] if part.views > earlier.views else []
            problems += [f"labels of part `{name}`"] if part.labelled and not earlier.labelled else []
            problems += [f"outputs {', '.join(lacking)} of part `{name}`"] if lacking else []
        if problems:
            raise ConfigError(
                f"the store {self.folder} cannot be carried on: {', '.join(problems)} differ or are missing there; "
                "ask for what it holds, or build the store from images, without a source."
            )
        return replace(wanted, carried_from=[*own.carried_from, own.cut])

    @torch.no_grad()
    def batches(self, part: str, rows: range, batch_size: int) -> Iterator[tuple[Tensor, dict[str, Any], Tensor]]:
        """Yields features behind the later cut (B, C, H, W), the original network's outputs and labels of rows."""
        for start in range(rows.start, rows.stop, batch_size):
            items = [self._parts[part].row(row) for row in range(start, min(start + batch_size, rows.stop))]
            stored, targets = default_collate(items)
            features = stored.features.to(self._device).float().contiguous(memory_format=torch.channels_last)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self.description.precision == "bf16"):
                features = self._between(features)
            yield features, stored.original, targets

    def _modules_between(self, model: SplitModel) -> nn.Module:
        earlier, later = self.description.cut, model.cut
        advice = f"`{earlier}` of the store {self.folder} must lie before `{later}`, on every path to it"
        if earlier == later:
            raise ConfigError(f"{advice}; that store is one of `{later}` already: use it as it is.")
        try:
            between = cut_network(model.front_end, earlier, example_input(model.input_size).to(self._device))
        except CutError as error:
            raise ConfigError(f"{advice}. {error}") from error
        if between.crossing:
            raise ConfigError(
                f"{', '.join(between.crossing)} cross beside `{earlier}`, which a store does not hold; build the store "
                "from images, without a source."
            )
        return between.back_end
