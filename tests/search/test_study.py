"""Laws of the shared study: nothing is asked twice, nothing told is lost, what a lost worker had is taken on."""

import dataclasses
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.search import SearchJob, SearchSpace
from sc2_spic_plugin.search.candidate import Candidate
from sc2_spic_plugin.search.dimensions import Choices, Dimension
from sc2_spic_plugin.search.results import summary
from sc2_spic_plugin.search.storage import quiet_optuna
from sc2_spic_plugin.search.study import SearchStudy, failure


@pytest.fixture
def job(make_job: Any) -> SearchJob:
    job = make_job(trials=6, candidates=3)
    job.out.mkdir()
    return job


def tell(study: SearchStudy, *candidates: Candidate) -> None:
    for each in candidates:
        assert study.tell_measured(each, float(each.number), 0.1, {"bpp": 0.1})


def states(study: SearchStudy) -> list[str]:
    return [trial.state.name for trial in study.trials()]


def never_heard_of_again(job: SearchJob) -> None:
    """Makes all signs of life an hour old, as after a kill and an hour."""
    with sqlite3.connect(job.out / "study.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")


def test_candidates_of_one_bank_share_cut_and_layer_and_differ(job: SearchJob) -> None:
    study = SearchStudy(job, creates=True)
    for _ in range(2):
        asked = study.ask(3)
        assert len({each.group for each in asked}) == 1
        assert len({str(each.values) for each in asked}) == 3
        tell(study, *asked)
    assert study.ask(3) == [] and not study.is_open()


def test_two_workers_on_one_storage_never_ask_the_same(job: SearchJob) -> None:
    SearchStudy(job, creates=True)
    asked: list[Candidate] = []

    def worker() -> None:
        study = SearchStudy(job)
        while candidates := study.ask(2):
            asked.extend(candidates)
            tell(study, *candidates)

    workers = [threading.Thread(target=worker) for _ in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len({each.number for each in asked}) == len({str(each.values) for each in asked}) == len(asked) == 6
    assert states(SearchStudy(job)).count("COMPLETE") == 6


def test_the_same_search_asks_the_same(make_job: Any) -> None:
    drawn = []
    for out in ("one", "other"):
        job = make_job(out, trials=11, candidates=4)
        job.out.mkdir()
        study = SearchStudy(job, creates=True)
        drawn.append([])
        while asked := study.ask(4):
            drawn[-1] += [each.values for each in asked]
            tell(study, *asked)
        study.storage.engine.dispose()
    assert drawn[0] == drawn[1] and len(drawn[0]) == 11


def test_what_a_killed_worker_had_is_asked_again_and_what_was_told_is_not(job: SearchJob) -> None:
    killed = SearchStudy(job, creates=True)
    asked = killed.ask(4)
    tell(killed, asked[0])
    never_heard_of_again(job)
    study = SearchStudy(job)
    study.recover_lost()
    again = study.ask(3)
    assert [each.values for each in again] == [each.values for each in asked[1:]]
    tell(study, *again)
    while more := study.ask(4):
        assert not {str(each.values) for each in more} & {str(each.values) for each in asked}
        tell(study, *more)
    assert states(study).count("COMPLETE") == 6 and not study.is_open()
    assert not killed.tell_measured(asked[1], 1.0, 1.0, {}), "a worker taken for lost was heard after all"


def test_a_worker_that_gives_signs_of_life_keeps_what_it_has(job: SearchJob) -> None:
    busy = SearchStudy(job, creates=True)
    busy.ask(4)
    SearchStudy(job).recover_lost()
    assert states(busy) == ["RUNNING"] * 4


def test_a_candidate_whose_worker_died_before_its_first_sign_of_life_is_put_back(job: SearchJob) -> None:
    study = SearchStudy(job, creates=True)
    with quiet_optuna():
        study.study.ask()
    with sqlite3.connect(job.out / "study.db") as database:
        database.execute("UPDATE trials SET datetime_start = '2020-01-01 00:00:00.000000'")
    study.recover_lost()
    assert states(study) == ["FAIL", "WAITING"]


def test_a_candidate_that_loses_its_workers_again_and_again_is_given_up(job: SearchJob) -> None:
    study = SearchStudy(dataclasses.replace(job, space=dataclasses.replace(job.space, trials=2)), creates=True)
    seen = set()
    for _ in range(3):
        assert summary(study.trials()) == "0 candidates: none done"
        (candidate,) = study.ask(1)
        seen.add(str(candidate.values))
        never_heard_of_again(job)
        study.recover_lost()
    assert len(seen) == 1 and summary(study.trials()) == "1 candidates: 1 failed"
    assert failure(study.trials()[-1], study.trials()) == "its worker was lost 3 times"
    (other,) = study.ask(4)
    assert str(other.values) not in seen


def test_an_interrupted_worker_puts_back_what_it_did_not_tell(job: SearchJob) -> None:
    study = SearchStudy(job, creates=True)
    asked = study.ask(4)
    with pytest.raises(KeyboardInterrupt), study.at_work(asked):
        tell(study, asked[0])
        study.tell_stopped(asked[1], {"bpp": 1.0})
        raise KeyboardInterrupt
    assert states(study) == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "WAITING", "WAITING"]
    assert [each.values for each in study.ask(2)] == [each.values for each in asked[2:]]


def test_a_failed_candidate_is_not_tried_again_and_counts(job: SearchJob) -> None:
    study = SearchStudy(dataclasses.replace(job, space=dataclasses.replace(job.space, trials=2)), creates=True)
    first, second = study.ask(4)
    study.tell_failed(first, "the loss is nan")
    tell(study, second)
    assert study.ask(4) == [] and not study.is_open()


def test_a_space_with_nothing_new_left_ends_the_search(
    job: SearchJob, space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sc2_spic_plugin.search.study._DRAWS", 7)
    few = {"cut": Dimension("cut", Choices(("layer2",))), "stride": Dimension("stride", Choices((2, 4)))}
    study = SearchStudy(dataclasses.replace(job, space=dataclasses.replace(space, dimensions=few)), creates=True)
    asked = study.ask(6)
    tell(study, *asked)
    assert sorted(each.values["stride"] for each in asked) == [2, 4] and study.ask(6) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_bank_whose_cut_has_nothing_new_left_ends_no_search(job: SearchJob, space: SearchSpace, seed: int) -> None:
    choices = {"cut": ("layer2", "layer3"), "stride": (1, 2, 4)}
    few = {name: Dimension(name, Choices(values)) for name, values in choices.items()}
    space = dataclasses.replace(space, dimensions=few, trials=20)
    study, asked = SearchStudy(dataclasses.replace(job, space=space, seed=seed), creates=True), []
    while found := study.ask(4):
        assert len({each.group for each in found}) == 1
        tell(study, *found)
        asked += found
    assert len(asked) == len({str(each.values) for each in asked}) == 6 and study.is_exhausted


def test_a_study_is_gone_on_with_on_purpose_and_under_the_same_circumstances(job: SearchJob, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no search `smoke` to go on with; run without --resume"):
        SearchStudy(job)
    SearchStudy(job, creates=True)
    with pytest.raises(ConfigError, match="has a search `smoke` already: pass --resume"):
        SearchStudy(job, creates=True)
    with pytest.raises(ConfigError, match="has another seed"):
        SearchStudy(dataclasses.replace(job, seed=1))
    other = dataclasses.replace(job.space, text=f"{job.space.text}\n")
    with pytest.raises(ConfigError, match="has another space"):
        SearchStudy(dataclasses.replace(job, space=other))
    with pytest.raises(ConfigError, match="cannot be opened"):
        SearchStudy(dataclasses.replace(job, storage="nosuchdatabase://host/name"), creates=True)
