"""What a search needs before it begins: a network that can be cut as the space says, and a feature store per cut."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from ..configs.plain import load_plain
from ..configs.stored import reads_labels
from ..errors import ConfigError, CutError, SpicError, nearest
from ..ops import write_atomic
from ..training import SpicModel
from ..training.build import BuiltConfig, build_config, quiet_hosts, seed_everything
from ..training.config_store import plan_config_store
from ..training.store import CONSENT_BYTES, EarlierStore, StoreDescription, StorePlan, build_store, gigabytes
from ..training.store.description import DESCRIPTION
from .bank_config import store_text
from .dimensions import Range
from .generation import Report
from .job import SearchJob
from .space import SearchSpace

__all__ = ["PlannedStore", "build_stores", "plan_stores"]


class PlannedStore(NamedTuple):
    """A store that a search will train from."""

    folder: Path
    text: str
    built: BuiltConfig
    plan: StorePlan


def plan_stores(job: SearchJob, consents: bool = False) -> list[PlannedStore]:
    """Cuts the network everywhere and says which stores that takes; nothing is written.

    Args:
        job: the search.
        consents: whether more than 10 GB may be written.

    Raises:
        ConfigError: a combination of the space that is impossible, all of them named, or more than 10 GB without
            consent.
        DataError, CheckpointError: images or weights of the base config are missing.
    """
    problems: list[str] = []
    planned: list[PlannedStore] = []
    quiet_hosts()
    for cut in job.space.cuts:
        try:
            built = _built(job, store_text(job.space, cut, ()))
        except (CutError, ConfigError) as error:
            problems.append(f"cut `{cut}`: {error}")
            continue
        problems += _impossible(job.space, cut, built)
        if not problems:
            planned.append(_planned(job, cut, built))
    if problems:
        raise ConfigError("\n".join(["the space cannot be searched:", *(f"  - {problem}" for problem in problems)]))
    total = sum(each.plan.total_bytes for each in planned)
    if total > CONSENT_BYTES and not consents:
        sizes = ", ".join(f"{each.plan.description.cut} {gigabytes(each.plan.total_bytes)}" for each in planned)
        raise ConfigError(
            f"the feature stores would take {gigabytes(total)} ({sizes}); pass --yes to write them, or give the space "
            "fewer `views`, `images`, cuts or distillation layers."
        )
    return planned


def _built(job: SearchJob, text: str) -> BuiltConfig:
    seed_everything(job.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = write_atomic(Path(folder) / "config.yaml", text)
        try:
            return build_config(path, torch.device(job.device))
        except SpicError as error:  # that file is gone when the message is read
            raise type(error)(str(error).replace(str(path), f"the base config of `{job.space.name}`")) from error


def _planned(job: SearchJob, cut: str, built: BuiltConfig) -> PlannedStore:
    space = job.space
    layers = space.layers(cut)
    text = store_text(space, cut, layers)
    if layers:  # each of them lies behind the cut, which could be asked only of a model without
        built = _built(job, text)
    plain = load_plain(text)
    plan = plan_config_store(built, plain, reads_labels(plain["train"]), space.views, space.images, "fp32", job.seed)
    return PlannedStore(job.store(cut), text, built, plan)


def _impossible(space: SearchSpace, cut: str, built: BuiltConfig) -> Iterator[str]:
    """Yields what no unit at a cut can be."""
    model = built.model
    assert isinstance(model, SpicModel)
    height, width = model.feature_size
    if "stride" in space.dimensions:
        values = space.dimensions["stride"].at(cut)
        large = [value for value in values.ends if value > max(height, width)]
        if large:
            shown = f"up to {values.high:g}" if isinstance(values, Range) else ", ".join(map(str, large))
            yield (
                f"stride {shown} at cut `{cut}`: its feature map is {height}x{width}, so a stride of at most "
                f"{max(height, width)} is possible there; give `stride` {{by_cut: ...}}."
            )
    behind = [name for name, _ in model.back_end.named_modules() if name]
    for layer in space.layers(cut):
        if layer not in behind:
            yield (
                f"distillation_layer `{layer}` at cut `{cut}`: it does not lie behind the cut. "
                f"{nearest(layer, behind)} Give `distillation_layer` {{by_cut: ...}}."
            )


def build_stores(planned: list[PlannedStore], report: Report) -> int:
    """Writes what is missing of the stores, and returns how many views were computed now.

    Each is carried on from the one of the nearest earlier cut that has what it needs, or else computed from images.

    Raises:
        ConfigError: a folder holds a store of something else.
        DataError: the disk is full.
    """
    computed = 0
    whole: list[Path] = []
    for store in sorted(planned, key=_depth):
        told = partial(report, f"store of {store.plan.description.cut}")
        computed += build_store(_model(store), _carried_on(store, whole), store.folder, told)
        write_atomic(store.folder / "config.yaml", store.text)
        whole.append(store.folder)
    return computed


def _model(store: PlannedStore) -> SpicModel:
    assert isinstance(store.built.model, SpicModel)
    return store.built.model


def _depth(store: PlannedStore) -> int:
    """Returns how much of the network lies before a store's cut."""
    return len(_model(store).front_end.graph.nodes)  # type: ignore[arg-type, union-attr]


def _carried_on(store: PlannedStore, whole: list[Path]) -> StorePlan:
    """Returns a store's plan from the last of the whole stores that can be carried on to it, or as it is."""
    wanted = store.plan.description
    if (store.folder / DESCRIPTION).exists() and not StoreDescription.load(store.folder).differences(wanted):
        return store.plan  # begun from images
    for folder in reversed(whole):
        try:
            earlier = EarlierStore(folder, _model(store))
            return replace(store.plan, description=earlier.check(wanted), earlier=earlier)
        except ConfigError:  # a cut that does not lie before, or outputs that are not kept there
            continue
    return store.plan
