"""Loaders of a config's images, and of its training images as they are measured."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from .build import BuiltConfig
from .store import FeatureStore

__all__ = ["build_loader", "calibration_images", "calibration_loader", "last_stage", "transform_name"]


def build_loader(built: BuiltConfig, config: dict[str, Any], dataset: Any = None) -> Any:
    """Returns the loader that a config describes, of its data set or of another."""
    from torchdistill.datasets.util import build_data_loader

    plain = {key: value for key, value in config.items() if key != "requires_supp"}
    if (plain.get("kwargs") or {}).get("persistent_workers"):  # their generators would not survive a stop
        plain["kwargs"] = {**plain["kwargs"], "persistent_workers": False}
    return build_data_loader(built.datasets[config["dataset_id"]] if dataset is None else dataset, plain, False)


def resumable_config(train: dict[str, Any]) -> dict[str, Any]:
    """Returns a config's `train` with loaders whose workers end with the epoch: their generators survive no stop."""

    def of(stage: dict[str, Any]) -> dict[str, Any]:
        changed = dict(stage)
        for name in ("train_data_loader", "val_data_loader"):
            loader = stage.get(name)
            if loader and (loader.get("kwargs") or {}).get("persistent_workers"):
                changed[name] = {**loader, "kwargs": {**loader["kwargs"], "persistent_workers": False}}
        return changed

    stages = {key: of(value) for key, value in train.items() if key.startswith("stage")}
    return {**of(train), **stages}


def last_stage(built: BuiltConfig) -> dict[str, Any]:
    """Returns the last training stage of a config."""
    stages = sorted((key for key in built.config["train"] if key.startswith("stage")), key=lambda key: int(key[5:]))
    return built.config["train"][stages[-1]] if stages else built.config["train"]


def transform_name(dataset: Any, task: str) -> str | None:
    """Returns where a data set keeps its transform: `transforms` is the joint one of image and mask."""
    names = ("transforms", "transform") if task == "segmentation" else ("transform",)
    return next((name for name in names if getattr(dataset, name, None) is not None), None)


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
    name = transform_name(selection, built.task)
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


def _images_by_size(samples: Sequence[tuple[Tensor, Any]]) -> tuple[list[Tensor]]:
    """Collates the images alone, those of one size together, so that none is enlarged."""
    sizes: dict[torch.Size, list[Tensor]] = {}
    for image, *_ in samples:
        sizes.setdefault(image.shape, []).append(image)
    return ([torch.stack(images) for images in sizes.values()],)
