"""What every run needs before it measures: a device, the config's own facts, its protocol, loaders of its images."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError, nearest
from ..leaderboard import Protocol, check_transform
from ..training.build import BuiltConfig
from ..training.loop import CHECKPOINT
from ..training.store import FeatureStore

__all__ = [
    "about_result",
    "build_loader",
    "calibration_images",
    "calibration_loader",
    "check_protocol",
    "checked_device",
    "checkpoint_of",
    "last_stage",
]

_RESULT_KEYS = ("name", "description", "method", "supervision", "dataset", "protocol", "unit", "cut")


def checked_device(name: str) -> torch.device:
    """Returns the device.

    Raises:
        ConfigError: no such device, or none of it here.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"the device `{name}` cannot be used: {reason} Use `cpu`, or `cuda` with a GPU.") from error
    return device


def build_loader(built: BuiltConfig, config: dict[str, Any], dataset: Any = None) -> Any:
    """Returns the loader that a config describes, of its data set or of another."""
    from torchdistill.datasets.util import build_data_loader

    plain = {key: value for key, value in config.items() if key != "requires_supp"}
    return build_data_loader(built.datasets[config["dataset_id"]] if dataset is None else dataset, plain, False)


def _transform_name(dataset: Any, task: str) -> str | None:
    """Returns where a data set keeps its transform: `transforms` is the joint one of image and mask."""
    names = ("transforms", "transform") if task == "segmentation" else ("transform",)
    return next((name for name in names if getattr(dataset, name, None) is not None), None)


def _images_by_size(samples: Sequence[tuple[Tensor, Any]]) -> tuple[list[Tensor]]:
    """Collates the images alone, those of one size together, so that none is enlarged."""
    sizes: dict[torch.Size, list[Tensor]] = {}
    for image, *_ in samples:
        sizes.setdefault(image.shape, []).append(image)
    return ([torch.stack(images) for images in sizes.values()],)


def calibration_images(built: BuiltConfig) -> Any:
    """Returns the training images of the last stage, prepared as images are when they are measured.

    The training transform crops and flips at random; the tables shall fit what is sent, so the transform of the
    selection images takes its place where both data sets have one.

    Raises:
        ConfigError: the config says nothing about training.
    """
    if not built.config.get("train"):
        raise ConfigError(f"{built.path} has no `train`, so no training images to count on.")
    stage = last_stage(built)
    dataset = built.datasets[stage["train_data_loader"]["dataset_id"]]
    if isinstance(dataset, FeatureStore):
        return dataset.for_calibration()
    selection = built.datasets[stage["val_data_loader"]["dataset_id"]]
    name = _transform_name(selection, built.task)
    if name is not None and hasattr(dataset, name):
        dataset = copy.copy(dataset)
        setattr(dataset, name, getattr(selection, name))
    return dataset


def calibration_loader(built: BuiltConfig) -> Any:
    """Returns a loader of `calibration_images`."""
    dataset = calibration_images(built)
    config = last_stage(built)["train_data_loader"]
    loader = build_loader(built, {**config, "kwargs": {**config["kwargs"], "drop_last": False}}, dataset)
    if built.task == "segmentation" and not isinstance(dataset, FeatureStore):
        loader.collate_fn = _images_by_size
    return loader


def last_stage(built: BuiltConfig) -> dict[str, Any]:
    """Returns the last training stage of a config."""
    stages = sorted((key for key in built.config["train"] if key.startswith("stage")), key=lambda key: int(key[5:]))
    return built.config["train"][stages[-1]] if stages else built.config["train"]


def about_result(built: BuiltConfig, path: Path, protocol: str | None = None) -> dict[str, Any]:
    """Returns what the config says about its result, with defaults.

    Args:
        built: the config.
        path: where it is from; its name is the default name.
        protocol: name or path of a protocol that takes the place of the config's.

    Raises:
        ConfigError: an unknown key, or no protocol.
    """
    about = {**(built.config.get("result") or {}), **({} if protocol is None else {"protocol": protocol})}
    for key in about:
        if key not in _RESULT_KEYS:
            raise ConfigError(f"unknown key `{key}` under `result`. {nearest(key, _RESULT_KEYS)}")
    about.setdefault("name", path.stem)
    for key in ("method", "dataset"):
        about.setdefault(key, "unnamed")
    if "protocol" not in about:
        raise ConfigError(f"{path} names no protocol; add `result: {{protocol: ...}}` or pass --protocol.")
    return about


def check_protocol(built: BuiltConfig, protocol: Protocol) -> None:
    """Refuses a run whose task or data sets are not the protocol's, before any time is spent on it.

    Raises:
        ConfigError: what differs.
    """
    if built.task != protocol.task:
        raise ConfigError(f"the config's model is for {built.task}, protocol {protocol.name} for {protocol.task}.")
    test_id = built.config["test"]["test_data_loader"]["dataset_id"]
    if test_id != protocol.report:
        raise ConfigError(f"the config tests on `{test_id}`, protocol {protocol.name} reports `{protocol.report}`.")
    dataset = built.datasets[test_id]
    name = _transform_name(dataset, protocol.task)
    check_transform(protocol, None if name is None else getattr(dataset, name))
    if built.config.get("train"):
        selection = last_stage(built)["val_data_loader"]["dataset_id"]
        if selection != protocol.selection:
            raise ConfigError(
                f"the config selects checkpoints on `{selection}`, protocol {protocol.name} on "
                f"`{protocol.selection}`; set `val_data_loader.dataset_id`."
            )


def checkpoint_of(path: Path, built: BuiltConfig) -> Path:
    """Returns the checkpoint in the folder of a config (a run's), else the config's own.

    Raises:
        CheckpointError: there is none of the first kind, and the config names none.
    """
    beside, named = path.parent / CHECKPOINT, built.model_config.get("dst_ckpt")
    if beside.is_file():
        return beside
    if named is None:
        raise CheckpointError(f"{path} names no checkpoint; pass one with --checkpoint.")
    return Path(named).expanduser()
