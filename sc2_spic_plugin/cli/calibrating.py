"""Recounting a checkpoint's coding tables: what `sc2-spic calibrate` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..configs import render_config, resolve_config
from ..errors import ConfigError
from ..models import SplitModel
from ..ops import write_atomic
from ..training.build import build_config, quiet_hosts, seed_everything
from ..training.calibrate import calibrate
from ..training.checkpoint import load_model_checkpoint, replace_model
from ..training.loading import calibration_loader
from .preparing import checked_device
from .progress import reporter

__all__ = ["calibrate_checkpoint"]


def calibrate_checkpoint(
    config: str,
    checkpoint: Path,
    out: Path,
    device: str = "cpu",
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> str:
    """Writes the checkpoint with tables counted exactly over the config's training images, its config beside it.

    Returns:
        One sentence: images counted, size of the tables, their digest.

    Raises:
        ConfigError: the config's model has no tables, or `out` exists.
    """
    if out.exists():
        raise ConfigError(f"{out} exists; choose another --out.")
    path = resolve_config(config)
    quiet_hosts()
    seed_everything(seed)
    text = render_config(path.read_text(), overrides or {})
    rendered = write_atomic(out.with_name(f"{out.name}.config.yaml"), text)
    built = build_config(rendered, checked_device(device))
    if not isinstance(built.model, SplitModel):
        raise ConfigError(f"the model of {path} has no coding tables; only SPIC models are calibrated.")
    load_model_checkpoint(checkpoint, built.model)
    loader = calibration_loader(built)
    with reporter("calibrate") as progress:
        total = len(loader.dataset)
        images = calibrate(built.model, loader, built.device, lambda done: progress.step("images", done, total))
    replace_model(checkpoint, out, built.model)
    coder = built.model.symbol_tables.coder
    return f"{out}: {images} images counted, tables of {coder.table_bytes} bytes, digest {coder.digest[:16]}"
