"""What makes a config train from a feature store instead of images."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .plain import CALL, load_plain

__all__ = ["reads_labels", "reportless_values", "store_part", "store_values"]

_HELPERS = ("num_workers", "persistent_workers", "prefetch_factor", "multiprocessing_context")
"""Arguments of a loader that say how its worker processes live."""
_STORE = "sc2_spic_plugin.training.store.FeatureStore"


def store_values(text: str, store: Path) -> dict[str, Any]:
    """Returns the values that make a config train from a store instead of images.

    Raises:
        ConfigError: the store was built from other data or transforms than the config's.
        DataError: no store.
    """
    from ..training.store import StoreDescription
    from ..training.store.description import SELECTION, TRAIN, described_dataset

    description, plain = StoreDescription.load(store), load_plain(text)
    train = plain.get("train") or {}
    stages = {key: value for key, value in train.items() if str(key).startswith("stage")}
    if reads_labels(train) and not description.parts[TRAIN].labelled:
        raise ConfigError(
            f"the config's loss reads labels, which the store {store} was built without; build one for this config."
        )
    values: dict[str, Any] = {}
    for where, stage in ({f"train.{key}": value for key, value in stages.items()} or {"train": train}).items():
        for loader, part in (("train_data_loader", TRAIN), ("val_data_loader", SELECTION)):
            dataset = (stage.get(loader) or {}).get("dataset_id")
            if dataset not in (plain.get("datasets") or {}):
                raise ConfigError(f"`{where}.{loader}.dataset_id` is no data set of the config.")
            own, kept = described_dataset(plain["datasets"][dataset]), description.parts[part].dataset
            difference = next(_differences(own, kept), None)
            if difference is not None:
                raise ConfigError(
                    f"the store {store} was built from other data than `{dataset}` of the config: {difference}. Build "
                    "one for this config with `sc2-spic cache`."
                )
            values[f"datasets.{dataset}"] = store_part(store, part)
            loading = {
                name: value for name, value in (stage[loader].get("kwargs") or {}).items() if name not in _HELPERS
            }
            # mapped memory needs no helpers
            values[f"{where}.{loader}.kwargs"] = {**copy.deepcopy(loading), "num_workers": 0}
            if stage[loader].get("collate_fn") is not None:
                values[f"{where}.{loader}.collate_fn"] = None
    return values


def reportless_values(text: str, store: Path) -> dict[str, Any]:
    """Returns the values that spare a config its report images, where nothing is measured: the store has none."""
    from ..training.store.description import SELECTION

    loader = (load_plain(text).get("test") or {}).get("test_data_loader") or {}
    return {f"datasets.{loader['dataset_id']}": store_part(store, SELECTION)} if "dataset_id" in loader else {}


def store_part(store: Path, part: str) -> dict[str, Any]:
    """Returns one part of a store as a config describes a data set, marked as `load_plain` marks it."""
    kwargs = {"root": str(store.expanduser().resolve()), "part": part}
    return {CALL: "import_call", "key": _STORE, "init": {"kwargs": kwargs}}


def reads_labels(train: Any) -> bool:
    """Returns whether a loss under `train` asks for labels."""
    return any(_finds_labels(train))


def _finds_labels(value: Any) -> Iterator[bool]:
    if isinstance(value, Mapping):
        if value.get("uses_label"):
            yield True
        value = list(value.values())
    for each in value if isinstance(value, list) else []:
        yield from _finds_labels(each)


def _differences(own: Any, kept: Any, where: str = "") -> Iterator[str]:
    if isinstance(own, Mapping) and isinstance(kept, Mapping):
        for key in {**own, **kept}:
            yield from _differences(own.get(key), kept.get(key), f"{where}.{key}" if where else str(key))
    elif own != kept:
        yield f"`{where}` is {own!r}, in the store {kept!r}"
