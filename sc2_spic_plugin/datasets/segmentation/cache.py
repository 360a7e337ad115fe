"""Lists of selected images that are dear to compute, kept outside the data set and never trusted blindly."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...ops import write_atomic

__all__ = ["cache_folder", "cached_ids"]


def cache_folder() -> Path:
    """Returns the folder for what can be computed again: `sc2_spic_plugin` in XDG_CACHE_HOME, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sc2_spic_plugin"


def cached_ids(
    folder: str | Path | None, name: str, key: Mapping[str, Any], compute: Callable[[], list[int]]
) -> list[int]:
    """Returns a list of numbers from the cache if it was made from the same things, and else computes and keeps it.

    Args:
        folder: where to keep it; None: `cache_folder()`.
        name: a readable beginning of the file's name.
        key: everything that the list depends on, digests of files included; JSON values.
        compute: makes the list.
    """
    wanted = json.loads(json.dumps(dict(key), sort_keys=True))
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    path = (cache_folder() if folder is None else Path(folder).expanduser()) / f"{name}-{digest[:16]}.json"
    kept = _read(path, wanted)
    if kept is not None:
        return kept
    ids = compute()
    try:
        write_atomic(path, json.dumps({"made_from": wanted, "ids": ids}) + "\n")
    except OSError as error:
        warnings.warn(
            f"The list of images cannot be kept in `{path}` ({error}), so it will be made again next time. Give "
            "another folder as `cache`.",
            stacklevel=2,
        )
    return ids


def _read(path: Path, wanted: Mapping[str, Any]) -> list[int] | None:
    """Returns the list in a cache file, or None where there is none that was made from what is wanted."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("made_from") != wanted:
        return None
    ids = content.get("ids")
    if not isinstance(ids, list) or not all(isinstance(number, int) for number in ids):
        return None
    return ids
