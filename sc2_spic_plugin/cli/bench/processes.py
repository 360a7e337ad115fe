"""Jobs in processes of their own: output to logs, threads divided, an end that leaves nothing running."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from ...errors import ConfigError
from .cost_rules import timing_protocol
from .job import COSTS, Job
from .runner import Ended, Running

__all__ = ["Processes"]

STOP_SECONDS = 20.0
_ERROR = "error: "


class Processes:
    """Runs every job in a process and process group of its own, whose output goes to the job's log.

    Args:
        at_a_time: how many jobs run at a time; CPU threads are divided among them. One that is timed runs alone, with
            those that its protocol asks for.
        command: what runs a job's arguments.
    """

    def __init__(
        self, at_a_time: int = 1, command: tuple[str, ...] = (sys.executable, "-m", "sc2_spic_plugin.cli.bench.child")
    ) -> None:
        if at_a_time < 1:
            raise ConfigError(f"{at_a_time} jobs at a time do nothing; give 1 or more.")
        self.threads: int | None = max(1, _threads() // at_a_time)
        self._command = command

    def start(self, job: Job, mode: str) -> Running:
        """Starts a job's process.

        Raises:
            OSError: it cannot be started, or its log cannot be written.
            ConfigError: it is to be timed, and there is no protocol that says how.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            start = log.tell()
            command = [*self._command, *job.arguments(mode)]
            log.write(f"===== {datetime.now(UTC).isoformat(timespec='seconds')} {shlex.join(command)}\n".encode())
            log.flush()
            threads = self.threads if mode != COSTS else _timing_threads(job)
            variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written: it closes with this process, and the job ends
                stdout=log,
                stderr=log,
                env={**os.environ, **dict.fromkeys(variables, str(threads))},
                start_new_session=True,  # Ctrl-C in the terminal reaches this process alone, which stops them all
            )
        return _Process(process, job.log, start)


class _Process:
    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, start: int) -> None:
        self._process, self._log, self._start = process, log, start

    def poll(self) -> Ended | None:
        """Returns how the process ended."""
        code = self._process.poll()
        if code is None:
            return None
        self._close()
        return Ended(None if code == 0 else _what_went_wrong(code, self._log, self._start))

    def interrupt(self) -> None:
        """Asks the process to end, which it does as at Ctrl-C."""
        self._process.terminate()

    def stop(self) -> None:
        """Waits for the process, then kills its whole group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._close()
        self._process.wait()

    def _close(self) -> None:
        """Ends what the process left running, and lets go of its standard input."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()


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
