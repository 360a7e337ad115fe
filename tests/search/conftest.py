"""A search of seconds: the smoke space with fewer images, its feature stores built once."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed (extra `search`)")

from sc2_spic_plugin.search import SearchJob, SearchSpace, load_space
from sc2_spic_plugin.search.dimensions import Choices, Dimension
from sc2_spic_plugin.search.stores import build_stores, plan_stores

SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.size": 32,
    "models.model.kwargs.input_size": [3, 32, 32],
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 10,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 2,
    "train.stage1.train_data_loader.kwargs.batch_size": 16,
}


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """Six candidates in banks of three, two cuts."""
    return dataclasses.replace(load_space("search/smoke", SMALL), trials=6, candidates=3)


@pytest.fixture(scope="session")
def stores(space: SearchSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores of that space."""
    job = SearchJob(space, tmp_path_factory.mktemp("search"))
    build_stores(plan_stores(job), lambda *_: None)
    return job.out / "stores"


@pytest.fixture(scope="session")
def one_cut(space: SearchSpace) -> SearchSpace:
    """The small space at one cut and one distillation layer, whose network need be cut once."""
    dimensions = {name: each for name, each in space.dimensions.items() if name != "distillation_layer"}
    return dataclasses.replace(space, dimensions={**dimensions, "cut": Dimension("cut", Choices(("layer3",)))})


@pytest.fixture
def make_job(space: SearchSpace, stores: Path, tmp_path: Path) -> Any:
    """Makes a search of the small space, with stores, in a folder of its own."""

    def make(out: str = "out", with_stores: bool = False, **options: Any) -> SearchJob:
        if with_stores and not (tmp_path / out / "stores").exists():
            shutil.copytree(stores, tmp_path / out / "stores")
        chosen = options.pop("space", space)
        changed = {key: options.pop(key) for key in ("trials", "candidates", "early_stopping") if key in options}
        return SearchJob(dataclasses.replace(chosen, **changed), tmp_path / out, **options)

    return make
