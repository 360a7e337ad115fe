"""Laws of a whole search: what its front claims is what its front gives, and nothing told is trained again."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.datasets.synthetic import SyntheticImages
from sc2_spic_plugin.errors import CheckpointError, ConfigError, TrainingError
from sc2_spic_plugin.models import SplitModel
from sc2_spic_plugin.search import SearchJob, SearchSpace, generation, run_search
from sc2_spic_plugin.search.dimensions import Choices, Dimension
from sc2_spic_plugin.search.front import front_of, save_front, values_of
from sc2_spic_plugin.search.measuring import measure_bank
from sc2_spic_plugin.search.stores import build_stores, plan_stores
from sc2_spic_plugin.search.study import SearchStudy
from sc2_spic_plugin.training.build import build_config, seed_everything
from sc2_spic_plugin.training.checkpoint import load_model_checkpoint
from sc2_spic_plugin.training.store import StoreDescription, build_store


@pytest.fixture(scope="module")
def finished(space: SearchSpace, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchJob:
    """A search that ran to its end, and whose report images could not be read."""
    job = SearchJob(space, tmp_path_factory.mktemp("finished"))
    shutil.copytree(stores, job.out / "stores")
    read = SyntheticImages.__getitem__

    def refuse(self: SyntheticImages, index: int) -> Any:
        assert self.split != "val", "the search read an image that tables report"
        return read(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyntheticImages, "__getitem__", refuse)
        run_search(job)
    return job


def trials_of(job: SearchJob) -> list[Any]:
    return SearchStudy(job).trials()


def test_every_candidate_is_told_and_listed(finished: SearchJob) -> None:
    trials = trials_of(finished)
    assert len(trials) == finished.space.trials
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    rows = list(csv.DictReader((finished.out / "candidates.csv").read_text().splitlines()))
    assert [row["candidate"] for row in rows] == [f"t{trial.number}" for trial in trials]
    front = {each.candidate.name for each in front_of(trials)}
    assert {row["candidate"] for row in rows if row["on_front"] == "True"} == front
    for row, trial in zip(rows, trials, strict=True):
        assert float(row["bpp"]) == trial.user_attrs["bpp"] == 8 * trial.user_attrs["payload_bytes"] / 64**2
        assert int(row["epochs"]) == (3 if trial.state.name == "COMPLETE" else 1)
    table = (finished.out / "front.md").read_text()
    assert all(f"| {name} |" in table for name in front)
    assert (finished.out / "candidates.png").read_bytes()[:4] == b"\x89PNG"
    assert not finished.banks.exists(), "what banks needed while they were trained is still there"


def test_the_front_loads_and_gives_the_bytes_it_was_measured_with(finished: SearchJob, tmp_path: Path) -> None:
    told = {f"t{trial.number}": trial for trial in trials_of(finished)}
    everyone = [each for each in front_of(list(told.values()))]
    cuts = {each.candidate.values["cut"] for each in everyone}
    assert {path.name for path in (finished.out / "front").iterdir()} == cuts
    for cut in cuts:
        folder = finished.out / "front" / cut
        seed_everything(0)
        built = build_config(folder / "config.yaml", torch.device("cpu"))
        load_model_checkpoint(folder / "checkpoint.pt", built.model)
        assert isinstance(built.model, SplitModel)
        members = [each.candidate for each in everyone if each.candidate.values["cut"] == cut]
        assert list(built.model.units) == [each.name for each in members]
        stored = generation.build_bank(finished, members, tmp_path / f"{cut}.yaml")
        stored.model.load_state_dict(built.model.state_dict())
        for name, reached in measure_bank(stored).items():
            assert reached.payload_bytes == told[name].user_attrs["payload_bytes"]
            assert [reached.accuracy, reached.bpp] == told[name].values


def test_the_front_of_several_cuts_is_a_bank_for_each(make_job: Any) -> None:
    job = make_job(with_stores=True, trials=6, candidates=3, early_stopping=None)
    study = SearchStudy(job, creates=True)
    cuts: set[str] = set()
    while len(cuts) < 2:
        (candidate,) = study.ask(1)
        cuts.add(candidate.values["cut"])
        bank = generation.build_bank(job, [candidate], job.out / "bank.yaml")
        torch.save({"model": bank.model.state_dict(), "best_value": 0.0}, job.out / "state.pt")
        job.weights(candidate.name).parent.mkdir(exist_ok=True)
        (job.out / "state.pt").replace(job.weights(candidate.name))
        study.tell_measured(candidate, float(candidate.number), float(candidate.number), {"images": 1})
    front = front_of(study.trials())
    folders = save_front(job, front)
    assert len(front) == len(study.trials()) and {folder.name for folder in folders} == cuts
    for folder in folders:
        units = load_plain((folder / "config.yaml").read_text())["models"]["model"]["kwargs"]["units"]
        state = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
        assert {key.split(".")[1] for key in state if key.startswith("units.")} == set(units)
    job.weights(front[0].candidate.name).unlink()
    with pytest.raises(CheckpointError, match="was trained by a worker with another folder"):
        save_front(job, front)
    assert all((folder / "checkpoint.pt").is_file() for folder in folders)


def test_a_search_that_was_interrupted_goes_on_and_trains_nothing_twice(
    make_job: Any, one_cut: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(space=one_cut, trials=4, candidates=2)
    train, begun = generation.train, []

    def interrupted(built: Any, *arguments: Any) -> Any:
        begun.append(frozenset(built.model.units))
        if len(begun) == 3:
            raise KeyboardInterrupt
        return train(built, *arguments)

    monkeypatch.setattr(generation, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_search(job)
    told = {trial.number: trial.values for trial in trials_of(job) if trial.state.name in ("COMPLETE", "PRUNED")}
    assert len(told) == 2 and (job.out / "front.md").is_file()
    waiting = [values_of(trial) for trial in trials_of(job) if trial.state.name == "WAITING"]
    before = {path.name: path.stat().st_mtime_ns for path in (job.out / "candidates").iterdir()}
    result = run_search(job, resumes=True)
    assert result.summary.startswith("4 candidates:")
    after = {trial.number: trial for trial in trials_of(job) if trial.state.name in ("COMPLETE", "PRUNED")}
    assert {number: after[number].values for number in told} == told
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in (job.out / "candidates").iterdir()}.items()
    assert [values_of(trial) for number, trial in after.items() if number not in told] == waiting
    assert not {f"t{number}" for number in told} & set().union(*begun[3:])


def test_a_candidate_that_cannot_be_trained_costs_the_others_nothing(
    make_job: Any, one_cut: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(space=one_cut, trials=3, candidates=3, early_stopping=None)
    train = generation.train

    def failing(built: Any, *arguments: Any) -> Any:
        if "t1" in built.model.units:
            raise TrainingError("the loss of unit `t1` is nan in epoch 1/3, step 1")
        return train(built, *arguments)

    monkeypatch.setattr(generation, "train", failing)
    result = run_search(job)
    assert result.summary == "3 candidates: 2 measured, 1 failed"
    (row,) = [row for row in csv.DictReader((job.out / "candidates.csv").open()) if row["candidate"] == "t1"]
    assert row["outcome"] == "failed" and "is nan" in row["reason"] and row["bpp"] == ""


def test_a_candidate_that_early_stopping_left_alone_may_fail_too(
    make_job: Any, one_cut: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(space=one_cut, trials=2, candidates=2)
    train = generation.train

    def failing(built: Any, folder: Path, *arguments: Any, **options: Any) -> Any:
        if folder.name == "rest":
            raise TrainingError("the loss is nan in epoch 2/3, step 1")  # of one unit, which nobody has to name
        return train(built, folder, *arguments, **options)

    monkeypatch.setattr(generation, "train", failing)
    monkeypatch.setattr(generation, "clearly_beaten", lambda looked, _rule: set(list(looked)[1:]))
    assert run_search(job).summary == "2 candidates: 1 stopped early, 1 failed"


def test_the_store_of_a_later_cut_is_carried_on_from_an_earlier_one_that_has_what_it_needs(
    stores: Path, space: SearchSpace, tmp_path: Path
) -> None:
    assert [StoreDescription.load(stores / cut).carried_from for cut in ("layer2", "layer3")] == [[], ["layer2"]]
    layers = Dimension("distillation_layer", by_cut={"layer2": Choices((".",)), "layer3": Choices((".", "layer4"))})
    lacking = dataclasses.replace(space, dimensions={**space.dimensions, "distillation_layer": layers})
    for name, needs, begun in (("lacking", lacking, False), ("begun", space, True)):
        planned = plan_stores(SearchJob(needs, tmp_path / name))
        if begun:  # from images, by a search that was stopped
            later = next(each for each in planned if each.plan.description.cut == "layer3")
            build_store(later.built.model, later.plan, later.folder)
        build_stores(planned[::-1], lambda *_: None)
        assert [StoreDescription.load(each.folder).carried_from for each in planned] == [[], []]


def test_a_search_does_not_begin_over_another_one(finished: SearchJob) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.out.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="pass --resume"):
        run_search(finished)
    assert before == {path: path.stat().st_mtime_ns for path in finished.out.rglob("*") if path.is_file()}
    described = json.loads((finished.out / "stores" / "layer2" / "store.json").read_text())
    assert described["cut"] == "layer2"
