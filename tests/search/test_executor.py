"""Laws of workers in processes of their own: they share one search, and one that is lost takes nothing with it."""

import importlib.util
import multiprocessing
import os
import signal
from typing import Any

import pytest

from sc2_spic_plugin.errors import ConfigError, TrainingError
from sc2_spic_plugin.search import SearchJob, SearchSpace, executor, run_search
from sc2_spic_plugin.search.study import SearchStudy


def ask_and_tell(job: SearchJob, say: Any, report: Any = None) -> None:
    """A worker that trains nothing."""
    study = SearchStudy(job)
    while candidates := study.ask(1):
        with study.at_work(candidates):
            for each in candidates:
                study.tell_measured(each, float(each.number), float(each.number + 1), {"by": os.getpid()})
                say(f"{each.name} done")


def die_first(job: SearchJob, say: Any, report: Any = None) -> None:
    """A worker that is killed if it is the first one."""
    if multiprocessing.current_process().name == "worker 1":
        os.kill(os.getpid(), signal.SIGKILL)
    ask_and_tell(job, say)


def stop(job: SearchJob, say: Any, report: Any = None) -> None:
    raise ConfigError("the disk is full")


@pytest.fixture
def job(make_job: Any, monkeypatch: pytest.MonkeyPatch) -> SearchJob:
    """A search whose workers are forked: to import the package anew takes longer than all they do here."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(executor.multiprocessing, "get_context", lambda _method: context)
    job = make_job(trials=4, workers=2)
    job.out.mkdir()
    SearchStudy(job, creates=True).storage.engine.dispose()  # a connection must not be shared with a fork
    return job


def test_two_local_workers_share_one_search(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "work", ask_and_tell)
    said: list[str] = []
    executor.run_workers(job, "local", said.append, lambda *_: None)
    trials = SearchStudy(job).trials()
    assert [trial.state.name for trial in trials].count("COMPLETE") == 4
    assert len({str(trial.params) for trial in trials if trial.state.name == "COMPLETE"}) == 4
    assert sorted(line.split(": ")[1] for line in said) == sorted(
        f"t{trial.number} done" for trial in trials if trial.state.name == "COMPLETE"
    )


def test_a_lost_worker_takes_nothing_with_it(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "work", die_first)
    said: list[str] = []
    executor.run_workers(job, "local", said.append, lambda *_: None)
    assert "worker 1 was lost (exit code -9)" in said
    assert [trial.state.name for trial in SearchStudy(job).trials()].count("COMPLETE") == 4


def test_what_stops_every_worker_is_said(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "work", stop)
    with pytest.raises(TrainingError, match=r"every worker stopped; .*the disk is full.* Go on with --resume"):
        executor.run_workers(job, "local", lambda _line: None, lambda *_: None)


def test_an_unknown_executor_is_refused(job: SearchJob) -> None:
    with pytest.raises(ConfigError, match=r"unknown executor `rya`\. Did you mean `ray`"):
        run_search(job, executor="rya")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)")
def test_a_worker_that_ray_places_finishes_the_search(
    make_job: Any, one_cut: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    job = make_job(space=one_cut, trials=2, candidates=2)
    said: list[str] = []
    result = run_search(job, executor="ray", say=said.append)
    assert result.summary.startswith("2 candidates:") and said[-1] == "worker 1: 1 banks trained"


def test_without_ray_the_extra_is_named(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"needs Ray: pip install 'sc2-spic-plugin\[ray\]'"):
        executor.run_workers(job, "ray", lambda _line: None, lambda *_: None)
