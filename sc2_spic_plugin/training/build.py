"""Building what a config describes, as sc2bench's scripts do, with errors that say what to do."""

import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import ConfigError, DataError, SpicError

__all__ = ["BuiltConfig", "build_config", "quiet_hosts", "seed_everything"]


@dataclass
class BuiltConfig:
    """A config with its data sets and models built."""

    path: Path
    config: dict[str, Any]
    datasets: dict[str, Any]
    model: nn.Module
    teacher: nn.Module | None
    device: torch.device

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


def build_config(path: Path, device: torch.device) -> BuiltConfig:
    """Loads a config and builds its data sets and models.

    Raises:
        ConfigError: it cannot be built; the message names the part.
        DataError: a data set is missing.
        CheckpointError: the network's weights are missing or of another network.
    """
    from sc2bench.models.registry import load_classification_model
    from sc2bench.models.wrapper import get_wrapped_classification_model
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

    def load(model_config: dict[str, Any] | None) -> nn.Module | None:
        if model_config is None:
            return None
        if "classification_model" in model_config:
            return get_wrapped_classification_model(model_config, device, False)
        return load_classification_model(model_config, device, False)

    models = config["models"]
    teacher = load(models.get("teacher_model"))
    model = load(models.get("student_model") or models.get("model"))
    if model is None:
        raise ConfigError(f"{path} has neither `models.model` nor `models.student_model`.")
    return BuiltConfig(path, config, config["datasets"], model, teacher, device)
