"""Building a feature store: one pass of the frozen network for each view, shard by shard; a kill loses little."""

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset, default_collate

from ...errors import ConfigError, DataError
from ...models import SplitModel
from ...ops import write_atomic
from ..batches import to_device
from ..build import seed_everything
from ..student import SpicModel
from .carrying import EarlierStore
from .description import CALIBRATION, DESCRIPTION, TRAIN, Part, StoreDescription, described_dataset, shard_path

__all__ = ["CONSENT_BYTES", "StorePlan", "build_store", "gigabytes", "plan_store", "subset"]

CONSENT_BYTES = 10_000_000_000
"""A store or a search's stores of more than that are built only where somebody said so."""
SHARD_BYTES = 64 << 20
_BATCH = 64


@dataclass(frozen=True)
class StorePlan:
    """What a store will hold.

    Attributes:
        description: of the store.
        datasets: the images by part, transformed as the part says.
        row_bytes: by part, what a row takes.
        workers: processes that load images.
        earlier: the store that it is carried on from; None: it is computed from the images.
    """

    description: StoreDescription
    datasets: Mapping[str, Any]
    row_bytes: Mapping[str, int]
    workers: int = 0
    earlier: EarlierStore | None = None

    @property
    def total_bytes(self) -> int:
        """What the whole store takes."""
        return sum(self.description.parts[name].rows * size for name, size in self.row_bytes.items())

    @property
    def rows(self) -> int:
        """How many rows it has, over all parts."""
        return sum(part.rows for part in self.description.parts.values())


def plan_store(
    model: SplitModel,
    datasets: Mapping[str, Any],
    described: Mapping[str, Any],
    views: int,
    labelled: bool,
    precision: str = "fp32",
    seed: int = 0,
    workers: int = 0,
    earlier: EarlierStore | None = None,
) -> StorePlan:
    """Looks at one image of each part and says what the store will hold; nothing is written.

    Args:
        model: gives the front-end and, if it distils, the original network's outputs.
        datasets: `train`, `selection` and `calibration` (the training images under the selection transform), each
            yielding (image, target).
        described: the plain config of each data set.
        views: how often each training image is drawn.
        labelled: whether labels are kept; without, none is stored.
        precision: `fp32` or `bf16`.
        seed: of the views.
        workers: processes that load images.
        earlier: a finished store of an earlier cut of this network, whose rows are carried on.

    Raises:
        ConfigError: fewer than one view, a bypassed cut, views of another size than the model's `input_size`, or an
            earlier store that lacks some of these rows.
        DataError: a part without images.
    """
    if views < 1:
        raise ConfigError(f"{views} views make no store; give 1 or more.")
    if model.bypassed:
        raise ConfigError(f"tensors pass by the cut `{model.cut}`, which a store does not hold; use a true cut.")
    parts, sizes = {}, {}
    for name, dataset in datasets.items():
        if len(dataset) == 0:
            raise DataError(f"the {name} images of the store are none; check the data set.")
        kept = name != CALIBRATION
        row = _stored(*next(_batches(model, dataset, [0], kept, "fp32", 0)), labelled and kept)
        sizes[name] = sum(value[0].numel() * value.element_size() for value in row.values())
        parts[name] = Part(
            images=len(dataset),
            views=views if name == TRAIN else 1,
            rows_per_shard=max(1, SHARD_BYTES // sizes[name]),
            dataset=described_dataset(described[name]),
            data_sha256=_data_digest(dataset),
            transform=_transform_of(dataset),
            labelled=labelled and kept,
            outputs=sorted(key.partition(".")[2] for key in row if key.startswith("original.")),
        )
    network = bytes(model.network_digest.tolist()).hex()
    description = StoreDescription(network, model.cut, list(model.input_size), precision, seed, parts)
    description = description if earlier is None else earlier.check(description)
    return StorePlan(description, datasets, sizes, workers, earlier)


def build_store(
    model: SplitModel,
    plan: StorePlan,
    folder: Path,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Writes what is not there yet; each shard is whole or absent, so that a kill loses one shard at most.

    Args:
        model: the model of the plan, on the device that computes.
        plan: what `plan_store` said.
        folder: where it goes.
        report: called with rows done and rows in all.

    Returns:
        How many rows were computed now; 0 if the store was whole.

    Raises:
        ConfigError: the folder holds a store of something else.
        DataError: the disk is full, or features that half precision cannot hold.
    """
    description = plan.description
    if (folder / DESCRIPTION).exists():
        differences = StoreDescription.load(folder).differences(description)
        if differences:
            raise ConfigError(
                f"{folder} is a store of something else: {', '.join(differences)} differ; choose another folder, or "
                "remove that store."
            )
    else:
        description.save(folder)
    todo = [
        (name, shard, range(shard * part.rows_per_shard, min((shard + 1) * part.rows_per_shard, part.rows)))
        for name, part in description.parts.items()
        for shard in range(part.shards)
    ]
    missing = [each for each in todo if not shard_path(folder, each[0], each[1]).exists()]
    needed = sum(len(rows) * plan.row_bytes[name] for name, _, rows in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"the store needs {needed / 1e9:.1f} GB more, {folder} has {free / 1e9:.1f} GB left; make room, store "
            "fewer --views or a --subset."
        )
    done, computed = plan.rows - sum(len(rows) for *_, rows in missing), 0
    report(done, plan.rows)
    for name, shard, rows in missing:
        part, path = description.parts[name], shard_path(folder, name, shard)
        seed_everything(_seed(description.seed, name, shard))
        kept: dict[str, list[Tensor]] = {}
        if plan.earlier is not None:
            batches = plan.earlier.batches(name, rows, _BATCH)
        else:
            indices = [row % part.images for row in rows]
            keeps_outputs = name != CALIBRATION
            batches = _batches(model, plan.datasets[name], indices, keeps_outputs, description.precision, plan.workers)
        for batch in batches:
            for key, value in _stored(*batch, part.labelled).items():
                if key.partition(".")[0] != "original" or key.partition(".")[2] in part.outputs:
                    kept.setdefault(key, []).append(value)
            done, computed = done + len(value), computed + len(value)
            report(done, plan.rows)
        _write(path, {key: torch.cat(values) for key, values in kept.items()}, folder)
    return computed


def _write(path: Path, tensors: dict[str, Tensor], folder: Path) -> None:
    from safetensors.torch import save

    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DataError(
                f"some values of `{name}` do not fit half precision; this network cannot be stored: train from images."
            )
    try:
        write_atomic(path, save(tensors))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error}); what {folder} holds is whole: make room and run the same command."
        ) from error


@torch.no_grad()
def _batches(
    model: SplitModel,
    dataset: Any,
    indices: list[int],
    keeps_outputs: bool,
    precision: str,
    workers: int,
) -> Iterator[tuple[Tensor, dict[str, Any], Tensor]]:
    """Yields features, the original network's outputs by name, and labels of images."""
    device, size = model.network_digest.device, tuple(model.input_size[1:])
    loader = DataLoader(Subset(dataset, indices), _BATCH, num_workers=workers, collate_fn=_collated)
    model.eval()
    kept: dict[str, Any] = {}
    handles = [
        identity.register_forward_hook(lambda _module, _input, output, key=key: kept.__setitem__(key, output))
        for key, identity in model.original.items()
    ] if isinstance(model, SpicModel) and keeps_outputs else []  # fmt: skip
    try:
        for images, targets in loader:
            if tuple(images.shape[2:]) != size:
                raise ConfigError(
                    f"a view is {images.shape[2]}x{images.shape[3]}, the model's input_size {size[0]}x{size[1]}; crop "
                    "or resize every view to it."
                )
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                images = to_device(images, device)
                features = model.open_batch(images)[0] if handles else model._split_front(images)[0]  # type: ignore[operator]
            yield features, kept, targets
    finally:
        for handle in handles:
            handle.remove()


def _stored(features: Tensor, original: dict[str, Any], targets: Tensor, labelled: bool) -> dict[str, Tensor]:
    """Returns rows as they are kept: `features`, `original.<name>` or `original.<name>.<entry>`, `target`."""
    row = {"features": features, **_flat("original", original)}
    row = {key: value.cpu().half().contiguous() for key, value in row.items()}
    if labelled:
        row["target"] = targets.to(torch.uint8) if int(targets.max()) < 256 and targets.dim() > 1 else targets
    return row


def _flat(prefix: str, value: Any) -> dict[str, Tensor]:
    if isinstance(value, Tensor):
        return {prefix: value}
    return {key: item for name, each in value.items() for key, item in _flat(f"{prefix}.{name}", each).items()}


def _collated(samples: list[tuple[Tensor, Any]]) -> tuple[Tensor, Tensor]:
    images, targets = zip(*((sample[0], sample[1]) for sample in samples), strict=True)
    return default_collate(list(images)), default_collate(list(targets))


def _seed(seed: int, part: str, shard: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{part}|{shard}".encode()).digest()[:4])


def _transform_of(dataset: Any) -> str:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return str(getattr(dataset, "transforms", None) or getattr(dataset, "transform", None))


def _data_digest(dataset: Any) -> str:
    """Returns a digest of the images' ids, and of the sizes of the files where the data set knows them."""
    chosen = None
    while isinstance(dataset, Subset):
        inner = dataset.indices
        chosen = list(inner) if chosen is None else [inner[index] for index in chosen]
        dataset = dataset.dataset
    root = getattr(dataset, "root", None) or getattr(getattr(dataset, "dataset", None), "root", None)
    samples = getattr(dataset, "samples", ()) if root is not None else ()  # of a folder of torchvision's
    names = [Path(path).relative_to(str(root)).as_posix() for path, _ in samples]
    ids = list(getattr(dataset, "ids", None) or names or range(len(dataset)))
    digest = hashlib.sha256(str(len(ids)).encode())
    for index in range(len(ids)) if chosen is None else chosen:
        files = _pair_files(dataset, index) or ([] if root is None else [Path(root) / str(ids[index])])
        sizes = ",".join(str(path.stat().st_size) for path in files if path.is_file())
        digest.update(f"|{ids[index]}|{sizes}".encode())
    return digest.hexdigest()


def _pair_files(dataset: Any, index: int) -> list[Path]:
    """Returns the files of an image and its mask; none for a data set of another kind."""
    if hasattr(dataset, "files"):
        return list(dataset.files(index))
    inner, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)  # of a held out part
    return [] if inner is None or indices is None else _pair_files(inner, indices[index])


def subset(dataset: Any, images: int | None, seed: int = 0) -> Any:
    """Returns so many images of a data set, drawn at random by the seed; all of them for None.

    Raises:
        ConfigError: fewer than one.
    """
    if images is None or images >= len(dataset):
        return dataset
    if images < 1:
        raise ConfigError(f"a subset of {images} images is none; give 1 or more.")
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    return Subset(dataset, sorted(order[:images].tolist()))


def gigabytes(size: int) -> str:
    """Returns a size for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{math.ceil(size / 1e6)} MB"
