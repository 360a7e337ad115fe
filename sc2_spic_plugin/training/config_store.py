"""Which rows the feature store of a config holds: its training, selection and calibration images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..models import SplitModel
from .build import BuiltConfig
from .loading import calibration_images, last_stage
from .store import EarlierStore, StorePlan, plan_store, subset
from .store.description import CALIBRATION, SELECTION, TRAIN

__all__ = ["plan_config_store"]


def plan_config_store(
    built: BuiltConfig,
    plain: Mapping[str, Any],
    labelled: bool,
    views: int = 2,
    images: int | None = None,
    precision: str = "fp32",
    seed: int = 0,
    source: Path | None = None,
) -> StorePlan:
    """Plans the store of a config; nothing is written.

    Args:
        built: the config, built.
        plain: the same config as plain data, which says what each data set is.
        labelled: whether labels are kept.
        views: how often each training image is drawn.
        images: how many training images; None: all.
        precision: `fp32` or `bf16`.
        seed: of views and subset.
        source: a finished store of an earlier cut, which is carried on instead of reading images.

    Raises:
        ConfigError: a model that is not cut anywhere, or a store that cannot be built.
        DataError: a part without images.
    """
    if not isinstance(built.model, SplitModel):
        raise ConfigError(f"the model of {built.path} is not cut anywhere; only SPIC models train from a store.")
    stage = last_stage(built)
    train, held_out = (stage[f"{name}_data_loader"]["dataset_id"] for name in ("train", "val"))
    described = {TRAIN: plain["datasets"][train], SELECTION: plain["datasets"][held_out]}
    return plan_store(
        built.model,
        {
            TRAIN: subset(built.datasets[train], images, seed),
            SELECTION: built.datasets[held_out],
            CALIBRATION: subset(calibration_images(built), images, seed),
        },
        {**described, CALIBRATION: described[TRAIN]},
        views,
        labelled,
        precision,
        seed,
        stage["train_data_loader"]["kwargs"].get("num_workers", 0),
        None if source is None else EarlierStore(source, built.model),
    )
