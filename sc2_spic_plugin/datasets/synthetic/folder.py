"""Writing the synthetic images as an image folder, whole or recognisably not."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import DataError
from ...ops import write_atomic
from .images import SyntheticImages

__all__ = ["write_image_folder"]

_MARKER = ".synthetic.json"
_STAGING = ".staging-"


def write_image_folder(
    root: str | Path,
    samples_per_class: Mapping[str, int] | None = None,
    size: int = 64,
    num_classes: int = 8,
    seed: int = 0,
) -> Path:
    """Writes the splits of the synthetic set as ROOT/SPLIT/CLASS/NUMBER.png, ready for any ImageFolder config.

    A folder that is already complete, with the same parameters and the same pictures, is left alone. Each split is
    written aside and renamed, and a marker file is written last; a folder without a finished marker, or with files
    missing, is written anew.

    Args:
        root: the folder; made if absent. One that holds files of another origin is refused.
        samples_per_class: pictures per class of each split; None: 300 for `train`, 100 for `val`.
        size: height and width in pixels.
        num_classes: 2 to 10.
        seed: another seed, other pictures.

    Returns:
        The root.

    Raises:
        ConfigError: a split or a value is not one of those allowed.
        DataError: the folder holds something else.
    """
    root = Path(root).expanduser()
    counts = dict(samples_per_class or {"train": 300, "val": 100})
    splits = {split: SyntheticImages(split, count, size, num_classes, seed) for split, count in counts.items()}
    wanted = {split: dataset.digest() for split, dataset in splits.items()}
    if _is_complete(root, splits, wanted):
        return root
    _refuse_foreign(root)
    write_atomic(root / _MARKER, _marker_text(splits, wanted, complete=False))
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
    try:
        for split, dataset in splits.items():
            _write_split(staging / split, dataset)
        for stale in root.iterdir():
            if stale.is_dir() and not stale.name.startswith(_STAGING):
                stale.rename(staging / f"stale-{stale.name}")
        for split in splits:
            (staging / split).rename(root / split)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_atomic(root / _MARKER, _marker_text(splits, wanted, complete=True))
    return root


def _write_split(folder: Path, dataset: SyntheticImages) -> None:
    for name in dataset.classes:
        (folder / name).mkdir(parents=True)
    for index, image_id in enumerate(dataset.ids):
        Image.fromarray(dataset.pixels(index)).save(folder / image_id, compress_level=1)


def _marker_text(splits: Mapping[str, SyntheticImages], digests: Mapping[str, str], complete: bool) -> str:
    marker = {
        "what": "synthetic images, written by sc2_spic_plugin; safe to delete",
        "complete": complete,
        "splits": {split: repr(dataset) for split, dataset in splits.items()},
        "digests": dict(digests),
    }
    return json.dumps(marker, indent=2) + "\n"


def _read_marker(root: Path) -> dict[str, Any] | None:
    """Returns what the marker file says, or None where there is none that can be read."""
    try:
        marker = json.loads((root / _MARKER).read_text())
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


def _is_complete(root: Path, splits: Mapping[str, SyntheticImages], digests: Mapping[str, str]) -> bool:
    """Says whether the folder is finished, of these parameters, and has exactly the files it should."""
    marker = _read_marker(root)
    if marker is None or marker.get("complete") is not True or marker.get("digests") != dict(digests):
        return False
    for split, dataset in splits.items():
        folder = root / split
        present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        if present != set(dataset.ids):
            return False
    return True


def _refuse_foreign(root: Path) -> None:
    """Raises DataError if the folder holds files that this module did not write."""
    if root.exists() and not root.is_dir():
        raise DataError(f"`{root}` is a file; give a folder for the synthetic images.")
    if not root.exists() or (root / _MARKER).exists():
        return
    if any(not entry.name.startswith(_STAGING) for entry in root.iterdir()):
        raise DataError(
            f"`{root}` holds files that are not synthetic images, and they would be lost. Give a new or empty folder."
        )
