"""What every run needs before it measures: a device, the config's own facts, its protocol."""

from pathlib import Path
from typing import Any

import torch

from ..configs.stored import reads_labels
from ..datasets.flat_folder import NO_LABEL
from ..errors import CheckpointError, ConfigError, nearest
from ..leaderboard import Protocol, check_transform
from ..ops.precision import computes_bf16, settled_precision
from ..ops.ranks import is_first
from ..training.build import BuiltConfig
from ..training.loading import last_stage, transform_name
from ..training.loop import CHECKPOINT
from .progress import console

__all__ = [
    "about_result",
    "check_data",
    "check_protocol",
    "checked_device",
    "checked_precision",
    "checkpoint_of",
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


def checked_precision(precision: str, device: str) -> str:
    """Returns `fp32` or `bf16`, of `auto` what the device is fast in; says so where bf16 will be slow.

    Raises:
        ConfigError: an unknown precision, or no such device.
    """
    place = checked_device(device)
    settled = settled_precision(precision, place)
    if settled == "bf16" and not computes_bf16(place) and is_first():
        console.print(
            f"bf16: `{device}` has no instructions for it here, so that it takes many times as long as fp32; pass "
            "--precision auto",
            style="yellow",
            soft_wrap=True,
        )
    return settled


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
    name = transform_name(dataset, protocol.task)
    check_transform(protocol, None if name is None else getattr(dataset, name))
    if built.config.get("train"):
        selection = last_stage(built)["val_data_loader"]["dataset_id"]
        if selection != protocol.selection:
            raise ConfigError(
                f"the config selects checkpoints on `{selection}`, protocol {protocol.name} on "
                f"`{protocol.selection}`; set `val_data_loader.dataset_id`."
            )


def check_data(built: BuiltConfig) -> None:
    """Refuses training, selection and report images that do not go together, before any time is spent on them.

    Raises:
        ConfigError: images are in two of the three, classes are numbered differently, or a loss reads labels that the
            images do not have.
    """
    test = built.config["test"]["test_data_loader"]["dataset_id"]
    if not built.config.get("train"):
        return
    stages = [stage for key, stage in built.config["train"].items() if key.startswith("stage")] or [
        built.config["train"]
    ]
    supervised = reads_labels(built.config["train"])
    for stage in stages:
        train, selection = (stage[name]["dataset_id"] for name in ("train_data_loader", "val_data_loader"))
        for first, second in ((train, selection), (train, test), (selection, test)):
            if first != second:
                _check_apart(first, built.datasets[first], second, built.datasets[second])
        if not supervised:
            continue
        for name in (train, selection):
            if set(getattr(built.datasets[name], "targets", ())) == {NO_LABEL} and built.task == "classification":
                raise ConfigError(f"the loss reads labels, `{name}` has none; set its `labelled`, or train without.")
            _check_classes(name, built.datasets[name], test, built.datasets[test])


def _check_apart(first: str, mine: Any, second: str, other: Any) -> None:
    """Refuses two data sets that share images of one folder."""
    shared = _image_files(mine) & _image_files(other)
    if shared:
        raise ConfigError(
            f"{len(shared)} images are in `{first}` and in `{second}` (`{min(shared).name}` for one): train, select "
            "and report on different images. Both parts of a `HeldOut` need the same `fraction`, `seed` and `labelled`."
        )


def _check_classes(first: str, mine: Any, second: str, other: Any) -> None:
    """Refuses two data sets that number classes differently."""
    classes, others = (list(getattr(each, "classes", None) or []) for each in (mine, other))
    if classes and others and classes != others:
        different = ", ".join(sorted(set(map(str, classes)) ^ set(map(str, others)))[:5])
        raise ConfigError(
            f"`{first}` has {len(classes)} classes, `{second}` {len(others)}, numbered differently"
            f"{f' (not in both: {different})' if different else ''}: every label after the first difference would mean "
            "another class. Give both folders the same class folders."
        )


def _image_files(dataset: Any) -> set[Path]:
    """Returns the image files of a data set; none where it has none, or does not tell."""
    inner: Any = getattr(dataset, "dataset", dataset)  # of a held out part
    if hasattr(inner, "files"):
        return {path for index in getattr(dataset, "indices", range(len(dataset))) for path in inner.files(index)[:1]}
    root = getattr(inner, "root", None)
    return (
        set()
        if root is None
        else {Path(str(root)).expanduser().resolve() / name for name in getattr(dataset, "ids", ())}
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
