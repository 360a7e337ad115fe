"""Keeping front-end outputs on disk: what `sc2-spic cache` does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..configs import check_config, render_config, resolve_config
from ..configs.plain import load_plain
from ..configs.stored import reads_labels
from ..errors import ConfigError
from ..models import SplitModel
from ..ops import write_atomic
from ..training.build import build_config, quiet_hosts, seed_everything
from ..training.config_store import plan_config_store
from ..training.store import CONSENT_BYTES, build_store, gigabytes
from .preparing import checked_device, checked_precision
from .progress import console, reporter

__all__ = ["cache_features"]


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
    source: Path | None = None,
) -> str:
    """Builds, or goes on building, the feature store of a config.

    Args:
        config: path, or name of a shipped config.
        out: the store's folder.
        views: how often each training image is drawn.
        images: how many training images; None: all.
        device: where the front-end runs.
        precision: `fp32`, `bf16`, or `auto`: bf16 where the device computes in it.
        seed: of the views.
        consents: whether more than 10 GB may be written.
        overrides: values to replace in the config.
        source: a finished store of an earlier cut, which is carried on instead of reading images.

    Returns:
        One sentence: what the store holds and how much was computed now.

    Raises:
        ConfigError: a config that trains no SPIC model, a store of more than 10 GB without consent, or a source that
            does not lie before or lacks rows.
        DataError: the disk is full, or a source that was not finished.
    """
    path = resolve_config(config)
    text = render_config(path.read_text(), overrides) if overrides else path.read_text()
    problems = check_config(text)
    if problems:
        raise ConfigError(f"{path} cannot be run: " + " ".join(problems))
    precision = checked_precision(precision, device)
    quiet_hosts()
    seed_everything(seed)
    built = build_config(write_atomic(out / "config.yaml", text), checked_device(device))
    plain = load_plain(text)
    plan = plan_config_store(built, plain, reads_labels(plain["train"]), views, images, precision, seed, source)
    assert isinstance(built.model, SplitModel)  # or there would be no plan
    size = gigabytes(plan.total_bytes)
    counts = ", ".join(f"{name} {part.images} x {part.views}" for name, part in plan.description.parts.items())
    console.print(f"the store takes {size} ({counts})", highlight=False, soft_wrap=True)
    if plan.total_bytes > CONSENT_BYTES and not consents:
        raise ConfigError(f"the store would take {size}; pass --yes to write it, or fewer --views or a --subset.")
    with reporter("cache") as progress:
        computed = build_store(built.model, plan, out, lambda done, total: progress.step("views", done, total))
    return f"{out}: {plan.rows} views ({counts}), {size}, {computed} of them computed now"
