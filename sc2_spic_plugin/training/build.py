"""Building what a config describes, as sc2bench's scripts do, with errors that say what to do."""

import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import nn

from ..errors import CheckpointError, ConfigError, DataError, SpicError

__all__ = ["BuiltConfig", "build_config", "quiet_hosts", "seed_everything", "task_of"]


@dataclass
class BuiltConfig:
    """A config with its data sets and models built."""

    path: Path
    config: dict[str, Any]
    datasets: dict[str, Any]
    model: nn.Module
    teacher: nn.Module | None
    device: torch.device
    task: str = "classification"

    @property
    def model_config(self) -> dict[str, Any]:
        """The config of the model that is trained and tested."""
        models = self.config["models"]
        return models.get("student_model") or models["model"]


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def quiet_hosts(level: int = logging.WARNING) -> None:
    """Sets the hosts' log level; a progress bar says what their lines would."""
    from torchdistill.common.constant import def_logger

    def_logger.setLevel(level)


def build_config(path: Path, device: torch.device, task: str | None = None) -> BuiltConfig:
    """Loads a config and builds its data sets and models.

    Args:
        path: the config.
        device: where the models go.
        task: `classification` or `segmentation`: which model registry of sc2bench is asked; None: the one that knows
            the config's model.

    Raises:
        ConfigError: it cannot be built, the message names the part; or its model is known for another task.
        DataError: a data set is missing.
        CheckpointError: the network's weights are missing or of another network.
    """
    from torchdistill.common import yaml_util
    from torchdistill.common.main_util import import_dependencies

    try:
        config = yaml_util.load_yaml_file(str(path))
    except SpicError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path} names data that are not there: {error}. Fetch them or change the path.") from error
    except Exception as error:
        raise ConfigError(f"{path} cannot be built: {error}. Run `sc2-spic configs check {path}`.") from error
    import_dependencies(config.get("dependencies"))
    models = config["models"]
    model_config = models.get("student_model") or models.get("model")
    if model_config is None:
        raise ConfigError(f"{path} has neither `models.model` nor `models.student_model`.")
    known = task_of(model_config)
    if task is not None and known not in (None, task):
        raise ConfigError(f"the model `{model_config['key']}` of {path} is for {known}, the protocol for {task}.")
    task = task or known or "classification"
    teacher_config = models.get("teacher_model")
    try:
        teacher = None if teacher_config is None else _LOADERS[task](teacher_config, device)
        model = _LOADERS[task](model_config, device)
    except SpicError:
        raise
    except URLError as error:
        raise CheckpointError(
            f"weights that {path} asks for cannot be downloaded: {error.reason}. Set `weights` to null where a "
            "checkpoint replaces them, give a file as `src_ckpt`, or go on where the network can be reached."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the models of {path} cannot be built for {task}: {error}. Run `sc2-spic configs check {path}`."
        ) from error
    return BuiltConfig(path, config, config["datasets"], model, teacher, device, task)


def task_of(model_config: dict[str, Any]) -> str | None:
    """Returns the task for which sc2bench, torchvision or a plugin registered a config's model; None if none did."""
    from sc2bench.models.backbone import BACKBONE_CLASS_DICT, BACKBONE_FUNC_DICT
    from sc2bench.models.segmentation.registry import SEGMENTATION_MODEL_CLASS_DICT, SEGMENTATION_MODEL_FUNC_DICT
    from torchvision import models

    said = (model_config.get("kwargs") or {}).get("task")
    if said in _LOADERS:
        return str(said)
    registries = {
        "segmentation": (SEGMENTATION_MODEL_CLASS_DICT, SEGMENTATION_MODEL_FUNC_DICT, models.segmentation.__dict__),
        "classification": (BACKBONE_CLASS_DICT, BACKBONE_FUNC_DICT, models.__dict__),
    }
    for task, tables in registries.items():
        if f"{task}_model" in model_config or any(model_config.get("key") in table for table in tables):
            return task
    return None


def _load_classifier(model_config: dict[str, Any], device: torch.device) -> nn.Module:
    from sc2bench.models.registry import load_classification_model
    from sc2bench.models.wrapper import get_wrapped_classification_model

    if "classification_model" in model_config:
        return get_wrapped_classification_model(model_config, device, False)
    return load_classification_model(model_config, device, False)


def _load_segmenter(model_config: dict[str, Any], device: torch.device) -> nn.Module:
    from sc2bench.models.segmentation.registry import load_segmentation_model
    from sc2bench.models.segmentation.wrapper import get_wrapped_segmentation_model

    if "segmentation_model" in model_config:
        return get_wrapped_segmentation_model(model_config, device)
    return load_segmentation_model(model_config, device)


_LOADERS = {"classification": _load_classifier, "segmentation": _load_segmenter}
