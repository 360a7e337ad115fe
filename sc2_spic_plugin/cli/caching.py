"""Keeping front-end outputs on disk: what `sc2-spic cache` does, and what `--store` makes of a config."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..configs import check_config, render_config, resolve_config
from ..configs.plain import CALL, load_plain
from ..errors import ConfigError
from ..models import SplitModel
from ..ops import write_atomic
from ..training.build import build_config, quiet_hosts, seed_everything
from ..training.store import StoreDescription, build_store, gigabytes, plan_store, subset
from ..training.store.description import CALIBRATION, SELECTION, TRAIN, described_dataset
from .preparing import calibration_images, checked_device, last_stage
from .progress import console, reporter

__all__ = ["cache_features", "store_values"]

CONSENT_BYTES = 10_000_000_000
_STORE = "sc2_spic_plugin.training.store.FeatureStore"


def cache_features(
    config: str,
    out: Path,
    views: int = 2,
    images: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    seed: int = 0,
    consents: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Builds, or goes on building, the feature store of a config.

    Args:
        config: path, or name of a shipped config.
        out: the store's folder.
        views: how often each training image is drawn.
        images: how many training images; None: all.
        device: where the front-end runs.
        precision: `fp32` or `bf16`.
        seed: of the views.
        consents: whether more than 10 GB may be written.
        overrides: values to replace in the config.

    Returns:
        One sentence: what the store holds and how much was computed now.

    Raises:
        ConfigError: a config that trains no SPIC model, or a store of more than 10 GB without consent.
        DataError: the disk is full.
    """
    path = resolve_config(config)
    text = render_config(path.read_text(), overrides) if overrides else path.read_text()
    problems = check_config(text)
    if problems:
        raise ConfigError(f"{path} cannot be run: " + " ".join(problems))
    quiet_hosts()
    seed_everything(seed)
    built = build_config(write_atomic(out / "config.yaml", text), checked_device(device))
    if not isinstance(built.model, SplitModel):
        raise ConfigError(f"the model of {path} is not cut anywhere; only SPIC models train from a feature store.")
    plain = load_plain(text)
    stage = last_stage(built)
    train, held_out = (stage[f"{name}_data_loader"]["dataset_id"] for name in ("train", "val"))
    described = {TRAIN: plain["datasets"][train], SELECTION: plain["datasets"][held_out]}
    plan = plan_store(
        built.model,
        {
            TRAIN: subset(built.datasets[train], images, seed),
            SELECTION: built.datasets[held_out],
            CALIBRATION: subset(calibration_images(built), images, seed),
        },
        {**described, CALIBRATION: described[TRAIN]},
        views,
        any(_finds_labels(plain["train"])),
        precision,
        seed,
        stage["train_data_loader"]["kwargs"].get("num_workers", 0),
    )
    size = gigabytes(plan.total_bytes)
    counts = ", ".join(f"{name} {part.images} x {part.views}" for name, part in plan.description.parts.items())
    console.print(f"the store takes {size} ({counts})", highlight=False, soft_wrap=True)
    if plan.total_bytes > CONSENT_BYTES and not consents:
        raise ConfigError(f"the store would take {size}; pass --yes to write it, or fewer --views or a --subset.")
    with reporter("cache") as progress:
        computed = build_store(built.model, plan, out, lambda done, total: progress.step("views", done, total))
    return f"{out}: {plan.rows} views ({counts}), {size}, {computed} of them computed now"


def store_values(text: str, store: Path) -> dict[str, Any]:
    """Returns the values that make a config train from a store instead of images.

    Raises:
        ConfigError: the store was built from other data or transforms than the config's.
        DataError: no store.
    """
    description, plain = StoreDescription.load(store), load_plain(text)
    train = plain.get("train") or {}
    stages = {key: value for key, value in train.items() if str(key).startswith("stage")}
    if any(_finds_labels(train)) and not description.parts[TRAIN].labelled:
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
            values[f"datasets.{dataset}"] = {
                CALL: "import_call",
                "key": _STORE,
                "init": {"kwargs": {"root": str(store.expanduser().resolve()), "part": part}},
            }
            loading = copy.deepcopy(stage[loader].get("kwargs") or {})
            values[f"{where}.{loader}.kwargs"] = {**loading, "num_workers": 0}  # mapped memory needs no helpers
            if stage[loader].get("collate_fn") is not None:
                values[f"{where}.{loader}.collate_fn"] = None
    return values


def _differences(own: Any, kept: Any, where: str = "") -> Iterator[str]:
    if isinstance(own, Mapping) and isinstance(kept, Mapping):
        for key in {**own, **kept}:
            yield from _differences(own.get(key), kept.get(key), f"{where}.{key}" if where else str(key))
    elif own != kept:
        yield f"`{where}` is {own!r}, in the store {kept!r}"


def _finds_labels(value: Any) -> Iterator[bool]:
    """Yields True wherever a loss asks for labels."""
    if isinstance(value, Mapping):
        if value.get("uses_label"):
            yield True
        value = list(value.values())
    for each in value if isinstance(value, list) else []:
        yield from _finds_labels(each)
