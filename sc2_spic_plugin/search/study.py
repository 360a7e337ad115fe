"""The study: candidates are asked for and told about in a database that any number of workers share."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from ..errors import ConfigError
from .candidate import Candidate
from .dimensions import CUT, LAYER
from .job import SearchJob
from .storage import beating, open_storage, quiet_optuna

__all__ = ["SearchStudy", "failure"]

_ABOUT = "search"
_ALIVE, _LOST, _FAILED = "alive", "times lost", "failed"
_MOST_LOST = 3
"""A candidate whose workers were lost so often is given up: it may be what loses them."""
_DRAWS = 20
"""So many draws that give known candidates in a row, and the space, or a bank's part of it, is taken for exhausted."""


class SearchStudy:
    """An Optuna study of two objectives: accuracy is maximised, bits per image pixel are minimised.

    The states of its trials: COMPLETE is a candidate that was trained to the end and measured; PRUNED was stopped
    early; FAIL was given up (its attribute `failed` says why), withdrawn as a duplicate, or interrupted, in which case
    a WAITING trial of the same values follows.

    Args:
        job: the search.
        creates: make a new study; else one that is there is opened.

    Raises:
        ConfigError: the study exists, does not, or is of another space, seed or precision.
    """

    def __init__(self, job: SearchJob, creates: bool = False) -> None:
        self.job, self.is_exhausted = job, False
        self.storage = open_storage(job.url, job.beat, _put_back_lost)
        about = {"space": job.space.sha256, "seed": job.seed, "precision": job.precision}
        with quiet_optuna():
            import optuna

            name = job.space.name
            if creates:
                try:
                    optuna.create_study(
                        storage=self.storage, study_name=name, directions=["maximize", "minimize"]
                    ).set_user_attr(_ABOUT, about)
                except optuna.exceptions.DuplicatedStudyError as error:
                    raise ConfigError(
                        f"{job.url} has a search `{name}` already: pass --resume to go on with it or to join it, or "
                        "choose another --out, --storage or `name`."
                    ) from error
            try:
                self.study = optuna.load_study(storage=self.storage, study_name=name)
            except KeyError as error:
                raise ConfigError(f"{job.url} has no search `{name}` to go on with; run without --resume.") from error
        kept = self.study.user_attrs.get(_ABOUT)
        if kept is None and not self.study.trials:  # it was killed while it was made
            self.study.set_user_attr(_ABOUT, about)
        elif kept != about:
            differing = [key for key in about if (kept or {}).get(key) != about[key]]
            raise ConfigError(
                f"the search `{name}` in {job.url} has another {' and '.join(differing)}; go on with the same space "
                "file, --set values, seed and precision, or give the space another `name`."
            )

    def trials(self) -> list[Any]:
        """Returns all trials, as the database has them now."""
        return list(self.study.get_trials(deepcopy=False))

    def _counted(self) -> list[Any]:
        """Returns the trials that count: done, given up, at work, or waiting to be."""
        trials = self.trials()
        return [each for each in trials if each.state.name != "FAIL" or failure(each, trials) is not None]

    def is_open(self) -> bool:
        """Returns whether candidates are at work or waiting anywhere."""
        return any(each.state.name in ("RUNNING", "WAITING") for each in self.trials())

    def ask(self, count: int) -> list[Candidate]:
        """Draws candidates; those that were put back come first, the others of one call share their group.

        Args:
            count: how many at most.

        Returns:
            Fewer where the search is to try no more or the group has no others, none where others work on the last.
        """
        asked: list[Candidate] = []
        fixed: dict[str, Any] = {}
        draws = 0
        while len(asked) < count and self._has_work():
            with quiet_optuna():
                trial = self.study.ask()
                self.storage.record_heartbeat(self._id(trial.number))
                trial.set_user_attr(_ALIVE, True)
                self.study.sampler = _sampler(self.job.seed, trial.number, fixed, learns=draws == 0)
                candidate = Candidate(trial.number, self.job.space.suggest(trial))
            if self._is_unwanted(trial.number):
                self.study.tell(trial.number, state=_state("FAIL"))
                draws += 1
                if draws < _DRAWS:
                    continue
                self.is_exhausted = not fixed  # else nothing new is left in this bank's group alone
                break
            asked.append(candidate)
            draws = 0
            if not fixed:
                fixed = {name: value for name, value in trial.params.items() if name.partition("@")[0] in (CUT, LAYER)}
        return asked

    def _has_work(self) -> bool:
        counted = self._counted()
        if any(each.state.name == "WAITING" for each in counted):
            return True
        return len(counted) < self.job.space.trials and not self.is_exhausted

    def _is_unwanted(self, number: int) -> bool:
        """Returns whether a trial is one too many, or is known; of two workers that drew the same, the first has it."""
        counted = self._counted()
        own = next(each for each in counted if each.number == number)
        before = [each for each in counted if each.number < number]
        return len(before) >= self.job.space.trials or any(
            each.params == own.params
            for each in counted
            if each.number != number and (each in before or _is_done(each))
        )

    @contextmanager
    def at_work(self, candidates: Sequence[Candidate]) -> Iterator[None]:
        """Gives signs of life for candidates; whatever ends the block, those that were not told are put back."""
        ids = {each.number: self._id(each.number) for each in candidates}
        try:
            with beating(self.storage, list(ids.values()), self.job.beat):
                yield
        except BaseException:
            running = {each.number for each in self.trials() if each.state.name == "RUNNING"}
            for number in ids:
                if number in running:
                    self._put_back(number)
            raise

    def _id(self, number: int) -> int:
        study_id = self.storage.get_study_id_from_name(self.study.study_name)
        return int(self.storage.get_trial_id_from_study_id_trial_number(study_id, number))

    def _put_back(self, number: int) -> None:
        trial = self.study.tell(number, state=_state("FAIL"), skip_if_finished=True)
        _add_waiting(self.study, trial, trial.user_attrs.get(_LOST, 0))

    def tell_measured(self, candidate: Candidate, accuracy: float, bpp: float, facts: Mapping[str, Any]) -> bool:
        """Tells what a candidate reached; False if it was taken for lost meanwhile, so that another worker has it."""
        return self._tell(candidate, facts, values=[accuracy, bpp])

    def tell_stopped(self, candidate: Candidate, facts: Mapping[str, Any]) -> bool:
        """Tells that a candidate was stopped early; what it had reached is among the facts."""
        return self._tell(candidate, facts, state=_state("PRUNED"))

    def tell_failed(self, candidate: Candidate, reason: str) -> bool:
        """Tells that a candidate cannot be trained."""
        return self._tell(candidate, {_FAILED: reason}, state=_state("FAIL"))

    def _tell(self, candidate: Candidate, facts: Mapping[str, Any], **told: Any) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError

        trial_id = self._id(candidate.number)
        try:
            for name, value in facts.items():
                self.storage.set_trial_user_attr(trial_id, name, value)
            self.study.tell(candidate.number, **told)
        except (UpdateFinishedTrialError, ValueError):
            if not self.storage.get_trial(trial_id).state.is_finished():
                raise
            return False
        return True

    def recover_lost(self) -> None:
        """Puts back the candidates of workers that gave no sign of life for long."""
        with quiet_optuna():
            from optuna.storages import fail_stale_trials

            fail_stale_trials(self.study)
            long_ago = datetime.now() - timedelta(seconds=4 * self.job.beat)
            for trial in self.trials():  # killed between being asked for and its first sign of life
                if trial.state.name == "RUNNING" and _ALIVE not in trial.user_attrs and trial.datetime_start < long_ago:
                    self._put_back(trial.number)


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def failure(trial: Any, trials: Sequence[Any]) -> str | None:
    """Returns why a trial was given up; None if it was not.

    Args:
        trial: the trial.
        trials: all of the study.
    """
    if trial.state.name != "FAIL" or _FAILED in trial.user_attrs:
        return trial.user_attrs.get(_FAILED)
    was_last = trial.user_attrs.get(_LOST, 0) == _MOST_LOST - 1
    follows = any(each.number > trial.number and each.params == trial.params for each in trials)
    return f"its worker was lost {_MOST_LOST} times" if was_last and not follows else None


def _is_done(trial: Any) -> bool:
    return trial.state.name in ("COMPLETE", "PRUNED", "FAIL")


def _sampler(seed: int, number: int, fixed: Mapping[str, Any], learns: bool = True) -> Any:
    """Returns the sampler of one trial: what it draws follows from the seed, the trial's number and what was told.

    One that does not learn draws evenly: after a known candidate, which one that learns may insist on.
    """
    from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler

    own = int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4])
    sampler: BaseSampler = TPESampler(seed=own, constant_liar=True) if learns else RandomSampler(seed=own)
    return PartialFixedSampler(dict(fixed), sampler) if fixed else sampler


def _put_back_lost(study: Any, trial: Any) -> None:
    times = trial.user_attrs.get(_LOST, 0) + 1
    if times < _MOST_LOST:
        _add_waiting(study, trial, times)


def _add_waiting(study: Any, trial: Any, times_lost: int) -> None:
    """Adds a trial of the same values that waits for a worker."""
    from optuna.trial import create_trial

    study.add_trial(
        create_trial(
            state=_state("WAITING"),
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={_LOST: times_lost} if times_lost else {},
        )
    )
