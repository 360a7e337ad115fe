"""Jobs in processes of their own: output to logs, threads divided, an end that leaves nothing running."""

import contextlib
import multiprocessing
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ...errors import ConfigError
from .cost_rules import timing_protocol
from .job import COSTS, Job
from .runner import Ended, Running

__all__ = ["Processes"]

STOP_SECONDS = 20.0
_ERROR = "error: "
_COMMAND = (sys.executable, "-m", "sc2_spic_plugin.cli.bench.child")
_IMPORTED_ONCE = ("job_costs", "row", "child")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def _do_job(arguments: Sequence[str]) -> None:
    from .child import work

    work(arguments)


class Processes:
    """Runs every job in a process and process group of its own, whose output goes to the job's log.

    They are forked from one process that has imported torch and the hosts and done nothing else, so that a job of
    seconds does not begin with seconds of imports.

    Args:
        at_a_time: how many jobs run at a time; CPU threads are divided among them. One that is timed runs alone, with
            those that its protocol asks for.
        work: what a process does with a job's arguments.
    """

    def __init__(self, at_a_time: int = 1, work: Callable[[Sequence[str]], None] = _do_job) -> None:
        if at_a_time < 1:
            raise ConfigError(f"{at_a_time} jobs at a time do nothing; give 1 or more.")
        self.threads: int | None = max(1, _threads() // at_a_time)
        self._work = work

    def start(self, job: Job, mode: str) -> Running:
        """Starts a job's process.

        Raises:
            OSError: it cannot be started, or its log cannot be written.
            ConfigError: it is to be timed, and there is no protocol that says how.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = job.arguments(mode)
        threads = (self.threads or 1) if mode != COSTS else _timing_threads(job)
        with job.log.open("ab") as log:
            start = log.tell()
            said = shlex.join([*_COMMAND, *arguments])
            log.write(f"===== {datetime.now(UTC).isoformat(timespec='seconds')} {said}\n".encode())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([f"{__package__}.{name}" for name in _IMPORTED_ONCE])
        with _without_colours():
            forkserver.ensure_running()
        variables = {**os.environ, **dict.fromkeys(_THREADS, str(threads))}
        process = context.Process(target=_begin, args=(self._work, arguments, job.log, threads, variables))
        process.start()
        return _Process(process, job.log, start)


@contextlib.contextmanager
def _without_colours() -> Iterator[None]:
    """What is imported meanwhile sees this process's terminal, but is to write to logs."""
    before = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TERM"]
        else:
            os.environ["TERM"] = before


def _begin(
    work: Callable[[Sequence[str]], None],
    arguments: Sequence[str],
    log: Path,
    threads: int,
    variables: Mapping[str, str],
) -> None:
    """Does a job in its own process: leads a group, writes to the log, ends with the process that started it."""
    import torch

    os.setsid()  # Ctrl-C in the terminal reaches the suite alone, which stops them all
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ctrl-C may be ignored, where a script started it
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()  # they are those of when the first job began
    os.environ.update(variables)
    torch.set_num_threads(threads)
    work(arguments)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os.killpg(os.getpgrp(), signal.SIGKILL)  # programs and loaders that it started too


class _Process:
    def __init__(self, process: ForkServerProcess, log: Path, start: int) -> None:
        self._process, self._log, self._start = process, log, start

    def poll(self) -> Ended | None:
        """Returns how the process ended."""
        code = self._process.exitcode
        if code is None:
            return None
        self._close()
        return Ended(None if code == 0 else _what_went_wrong(code, self._log, self._start))

    def interrupt(self) -> None:
        """Asks the process to end, which it does as at Ctrl-C."""
        self._process.terminate()

    def stop(self) -> None:
        """Waits for the process, then kills its whole group."""
        self._process.join(STOP_SECONDS)
        self._close()
        self._process.join()

    def _close(self) -> None:
        """Ends what the process left running."""
        assert self._process.pid is not None  # it was started
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _threads() -> int:
    """Returns how many CPU threads this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))


def _timing_threads(job: Job) -> int:
    """Returns how many CPU threads a job has while it alone runs and is timed."""
    return timing_protocol(job.text, job.settings.protocol).threads or _threads()


def _what_went_wrong(code: int, log: Path, start: int) -> str:
    """Returns the last error of a log from a position on, or its last line, or how the process ended."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()[1:]
    except OSError:
        lines = []
    said = [line.strip() for line in lines if line.strip()]
    errors = [index for index, line in enumerate(said) if line.startswith(_ERROR)]
    if errors:
        return " ".join(said[errors[-1] :]).removeprefix(_ERROR)
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}" + (f": {said[-1]}" if said else "")
    return said[-1] if said else f"ended with code {code} and said nothing"
