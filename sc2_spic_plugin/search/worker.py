"""A worker: asks for candidates, trains them, tells, until there is nothing left to ask for."""

import time
from collections.abc import Callable

from .candidate import grouped
from .generation import Report, train_generation
from .job import SearchJob
from .study import SearchStudy

__all__ = ["work"]


def work(
    job: SearchJob,
    say: Callable[[str], None] = lambda _line: None,
    report: Report = lambda _what, _done, _total: None,
) -> None:
    """Works on a search until it is over; any number of workers may do so at once, on any machine.

    A worker that finds nothing to ask for waits while others are at work: should one of them be lost, its candidates
    are put back and taken on.

    Args:
        job: the search; its stores and its study are there.
        say: called with a line after each bank.
        report: called with a description, steps done and steps in all.

    Raises:
        SpicError: what stops the worker; its candidates are put back.
    """
    if job.threads is not None:
        import torch

        torch.set_num_threads(job.threads)
    study = SearchStudy(job)
    waits = False
    while True:
        study.recover_lost()
        candidates = study.ask(job.space.candidates)
        if candidates:
            waits = False
            with study.at_work(candidates):
                for group, members in grouped(candidates).items():
                    train_generation(job, study, members, report)
                    say(f"{group.cut}: {', '.join(each.name for each in members)} done")
            continue
        if not study.is_open():
            return
        if not waits:
            say("nothing left to begin; waiting for the candidates that others train")
            waits = True
        time.sleep(job.beat)
