"""A search from its space to its front: checked, stores built, workers run, results written."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, SpicError, nearest
from ..ops import write_atomic
from ..training import SpicModel
from ..training.store import FeatureStore
from ..training.store.description import SELECTION
from .executor import EXECUTORS, run_workers
from .generation import Report
from .job import SearchJob
from .measuring import accuracy_name, original_accuracy
from .results import save_results, summary
from .stores import build_stores, plan_stores
from .study import SearchStudy

__all__ = ["SearchResult", "run_search"]


class SearchResult(NamedTuple):
    """What a search left.

    Attributes:
        summary: one sentence: candidates tried, and what became of them.
        table: the Pareto set, Markdown.
        banks: the folders of the front's bank checkpoints.
    """

    summary: str
    table: Path
    banks: list[Path]


def run_search(
    job: SearchJob,
    resumes: bool = False,
    consents: bool = False,
    executor: str = "local",
    say: Callable[[str], None] = lambda _line: None,
    report: Report = lambda _what, _done, _total: None,
) -> SearchResult:
    """Searches, or goes on with a search; only training and selection images are read.

    Args:
        job: the search.
        resumes: go on with, or join, the search in the job's storage.
        consents: write feature stores of more than 10 GB.
        executor: see `run_workers`.
        say: called with lines for the user.
        report: called with a description, steps done and steps in all.

    Raises:
        SpicError: a space that cannot be searched, before anything is written; or what stopped the workers.
    """
    if executor not in EXECUTORS:
        raise ConfigError(f"unknown executor `{executor}`. {nearest(executor, EXECUTORS)}")
    planned = plan_stores(job, consents)
    job.out.mkdir(parents=True, exist_ok=True)
    study = SearchStudy(job, creates=not resumes)
    write_atomic(job.out / "base.yaml", job.space.text)
    build_stores(planned, report)
    part, built = FeatureStore(planned[0].folder, SELECTION), planned[0].built
    assert isinstance(built.model, SpicModel)
    original = original_accuracy(built.model, part, built.task)
    measure = accuracy_name(built.task, part.about.labelled)
    del planned, built
    try:
        run_workers(job, executor, say, report)
    except BaseException:
        with suppress(SpicError, OSError):  # what stopped the workers is told, whatever else goes wrong
            save_results(job, study.trials(), measure, original)
        raise
    if not study.is_open():
        shutil.rmtree(job.banks, ignore_errors=True)  # what workers that were killed left
    trials = study.trials()
    banks = save_results(job, trials, measure, original)
    return SearchResult(summary(trials), job.out / "front.md", banks)
