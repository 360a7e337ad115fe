"""Where a study is kept: any database that Optuna opens by URL, with signs of life of those who work on it."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError

__all__ = ["beating", "open_storage", "quiet_optuna"]

_PATIENCE = 60.0
"""Seconds to wait for an SQLite file that another worker is writing."""

_quiet = threading.RLock()
"""Held while the warnings of the process are changed: two threads would put back each other's filters."""


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Leaves out what Optuna says about its own interface, and its line for every trial.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("a search needs Optuna: pip install 'sc2-spic-plugin[search]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with Study.optimize")
        yield


def open_storage(url: str, beat: int, on_lost: Callable[[Any, Any], None]) -> Any:
    """Opens, and if need be makes, a database.

    Args:
        url: of any database that SQLAlchemy knows, e.g. `sqlite:////folder/study.db` or `postgresql://host/name`.
        beat: seconds between signs of life; four times as long without one, and a trial is lost.
        on_lost: called with the study and the trial, once for each that is.

    Raises:
        ConfigError: it cannot be opened.
    """
    with quiet_optuna():
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import SQLAlchemyError

        options = {"connect_args": {"timeout": _PATIENCE}} if url.startswith("sqlite") else None
        try:
            return RDBStorage(
                url,
                engine_kwargs=options,
                heartbeat_interval=beat,
                grace_period=4 * beat,
                heartbeat_stale_trial_callback=on_lost,
            )
        except (SQLAlchemyError, ImportError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"the storage `{url}` cannot be opened: {reason} Give a URL such as sqlite:///study.db, or "
                "postgresql://USER@HOST/NAME with its driver installed."
            ) from error


@contextmanager
def beating(storage: Any, trial_ids: Sequence[int], beat: int) -> Iterator[None]:
    """Gives signs of life for trials while the block runs."""
    from optuna.exceptions import StorageInternalError

    over = threading.Event()

    def run() -> None:
        while not over.wait(beat):
            for trial_id in trial_ids:
                try:
                    storage.record_heartbeat(trial_id)
                except StorageInternalError:  # busy or out of reach: the next sign of life is soon enough
                    continue

    thread = threading.Thread(target=run, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
