"""Jobs in processes: what they print is kept, what they start ends with them, errors are named, threads divided."""

import ast
import inspect
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench_parts import make_jobs

from sc2_spic_plugin.cli.bench import processes, schedule
from sc2_spic_plugin.cli.bench.job import COSTS
from sc2_spic_plugin.cli.bench.processes import Processes
from sc2_spic_plugin.cli.bench.runner import Ended
from sc2_spic_plugin.errors import ConfigError

ENDLESS = "import time, subprocess, sys\nsubprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(99)'])"


def start(tmp_path: Path, code: str, at_a_time: int = 1, mode: str = "train") -> Any:
    job, script = make_jobs(tmp_path)[-1], tmp_path / "script.py"
    script.write_text(code)
    return job, Processes(at_a_time, (sys.executable, "-S", str(script))).start(job, mode)


def ended(running: Any) -> Ended:
    for _ in range(1000):
        if (end := running.poll()) is not None:
            return end
        time.sleep(0.02)
    raise AssertionError("it does not end")


@contextmanager
def group_of(running: Any) -> Iterator[int]:
    """Gives the process group, which must be gone afterwards."""
    group = running._process.pid
    yield group
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError("the group is still there")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('fine')", None),
        ("import sys\nprint('error: the disk\\nis full', file=sys.stderr)\nsys.exit(1)", "the disk is full"),
        ("raise ValueError('odd')", "ValueError: odd"),
        ("import sys\nsys.exit(3)", "ended with code 3 and said nothing"),
        (
            "import os\nprint('step 7', flush=True)\nos.kill(os.getpid(), 9)",
            "ended by SIGKILL (out of memory?): step 7",
        ),
    ],
)
def test_how_a_process_ended_is_said(tmp_path: Path, code: str, error: str | None) -> None:
    job, running = start(tmp_path, code)
    assert ended(running) == Ended(error)
    head, *said = job.log.read_text().splitlines()
    assert head.startswith("===== ") and head.endswith(f"--protocol {job.settings.protocol}")
    assert said or "exit(3)" in code


def test_a_log_keeps_every_attempt_and_an_error_is_of_the_last(tmp_path: Path) -> None:
    for number in (1, 2):
        job, running = start(tmp_path, f"print('error: number {number}')\nraise SystemExit(1)")
        assert ended(running) == Ended(f"number {number}")
    assert job.log.read_text().count("=====") == 2


def test_threads_are_divided_among_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    job, running = start(tmp_path, "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])", 4)
    assert ended(running) == Ended(None) and job.log.read_text().splitlines()[-1] == "1 1"
    assert (Processes(2).threads, Processes(3).threads, Processes(7).threads) == (3, 2, 1)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Processes(1).threads == len(os.sched_getaffinity(0))
    with pytest.raises(ConfigError, match="0 jobs at a time do nothing"):
        Processes(0)


def test_a_job_that_is_timed_has_the_threads_of_its_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for available in ("1", "6"):
        monkeypatch.setenv("OMP_NUM_THREADS", available)
        code = "import os, sys\nprint(os.environ['OMP_NUM_THREADS'], *sys.argv[1:])"
        job, running = start(tmp_path, code, 4, COSTS)
        assert ended(running) == Ended(None)
        assert job.log.read_text().splitlines()[-1] == f"2 costs {job.folder}"


def test_stopping_ends_a_process_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    for code in (ENDLESS, deaf + ENDLESS):
        _, running = start(tmp_path, f"{code}\ntime.sleep(99)")
        with group_of(running):
            running.interrupt()
            running.stop()


def test_what_a_process_left_running_ends_with_it(tmp_path: Path) -> None:
    _, running = start(tmp_path, ENDLESS)
    with group_of(running):
        assert ended(running) == Ended(None)


def test_a_process_ends_with_the_suite_that_started_it(tmp_path: Path) -> None:
    child = Path(inspect.getfile(schedule)).with_name("child.py").read_text()
    watch = next(each for each in ast.parse(child).body if getattr(each, "name", "") == "_end_with_parent")
    code = f"{ENDLESS}\nimport os, signal\n{ast.unparse(watch)}\n_end_with_parent()"
    _, running = start(tmp_path, code)
    with group_of(running):
        time.sleep(0.1)
        assert running.poll() is None
        running._process.stdin.close()  # as when the suite is killed
        assert running._process.wait(20) == -signal.SIGKILL
