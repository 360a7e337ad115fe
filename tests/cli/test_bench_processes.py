"""Jobs in processes: what they print is kept, what they start ends with them, errors are named, threads divided."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench_parts import make_jobs

from sc2_spic_plugin.cli.bench import processes
from sc2_spic_plugin.cli.bench.job import COSTS
from sc2_spic_plugin.cli.bench.processes import Processes
from sc2_spic_plugin.cli.bench.runner import Ended
from sc2_spic_plugin.errors import ConfigError

Work = Callable[[Sequence[str]], None]


def fine(_: Sequence[str]) -> None:
    print("fine")


def fails(_: Sequence[str]) -> None:
    print("error: the disk\nis full", file=sys.stderr)
    sys.exit(1)


def raises(_: Sequence[str]) -> None:
    raise ValueError("odd")


def leaves(_: Sequence[str]) -> None:
    sys.exit(3)


def dies(_: Sequence[str]) -> None:
    print("step 7", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def says_its_threads(arguments: Sequence[str]) -> None:
    import torch

    print(os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"], torch.get_num_threads(), *arguments)


def says_what_it_has(_: Sequence[str]) -> None:
    from sc2_spic_plugin.cli.progress import console

    imported = all(name in sys.modules for name in ("torchdistill", "sc2bench.models.registry", "compressai"))
    console.print("[bold red]styled[/]")
    print(imported, os.environ["SAID_LATER"], sys.stdin.read() == "", os.getpgrp() == os.getpid())


def leaves_a_program_running(_: Sequence[str]) -> None:
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(99)"])


def is_endless(arguments: Sequence[str]) -> None:
    leaves_a_program_running(arguments)
    time.sleep(99)


def is_deaf_and_endless(arguments: Sequence[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    is_endless(arguments)


def start(tmp_path: Path, work: Work, at_a_time: int = 1, mode: str = "train") -> Any:
    job = make_jobs(tmp_path)[-1]
    return job, Processes(at_a_time, work).start(job, mode)


def ended(running: Any) -> Ended:
    for _ in range(3000):
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
    ("work", "error"),
    [
        (fine, None),
        (fails, "the disk is full"),
        (raises, "ValueError: odd"),
        (leaves, "ended with code 3 and said nothing"),
        (dies, "ended by SIGKILL (out of memory?): step 7"),
    ],
)
def test_how_a_process_ended_is_said(tmp_path: Path, work: Work, error: str | None) -> None:
    job, running = start(tmp_path, work)
    assert ended(running) == Ended(error)
    head, *said = job.log.read_text().splitlines()
    assert head.startswith("===== ") and head.endswith(f"--protocol {job.settings.protocol}")
    assert "-m sc2_spic_plugin.cli.bench.child run " in head  # what a reader may run by hand
    assert said or work is leaves


def test_a_log_keeps_every_attempt_and_an_error_is_of_the_last(tmp_path: Path) -> None:
    for number, work in enumerate((raises, fails), 1):
        job, running = start(tmp_path, work)
        assert ended(running) == Ended("ValueError: odd" if work is raises else "the disk is full")
        assert job.log.read_text().count("=====") == number


def test_threads_are_divided_among_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    job, running = start(tmp_path, says_its_threads, 2)
    assert ended(running) == Ended(None) and job.log.read_text().splitlines()[-1].startswith("3 3 3 run ")
    assert (Processes(2).threads, Processes(3).threads, Processes(7).threads) == (3, 2, 1)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Processes(1).threads == len(os.sched_getaffinity(0))
    with pytest.raises(ConfigError, match="0 jobs at a time do nothing"):
        Processes(0)


def test_a_job_that_is_timed_has_the_threads_of_its_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for available in ("1", "6"):
        monkeypatch.setenv("OMP_NUM_THREADS", available)
        job, running = start(tmp_path, says_its_threads, 4, COSTS)
        assert ended(running) == Ended(None)
        assert job.log.read_text().splitlines()[-1] == f"2 2 2 costs {job.folder}"


def test_a_job_begins_with_the_imports_done_and_what_the_suite_has_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(start(tmp_path, fine)[1])
    monkeypatch.setenv("SAID_LATER", "yes")
    monkeypatch.setenv("TERM", "xterm-256color")
    job, running = start(tmp_path, says_what_it_has)
    assert ended(running) == Ended(None)
    assert job.log.read_text().splitlines()[-2:] == ["styled", "True yes True True"]
    assert os.environ["TERM"] == "xterm-256color"


def test_stopping_ends_a_process_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    for work in (is_endless, is_deaf_and_endless):
        _, running = start(tmp_path, work)
        with group_of(running):
            running.interrupt()
            running.stop()


def test_what_a_process_left_running_ends_with_it(tmp_path: Path) -> None:
    _, running = start(tmp_path, leaves_a_program_running)
    with group_of(running):
        assert ended(running) == Ended(None)


def test_a_process_ends_with_the_suite_that_started_it(tmp_path: Path) -> None:
    _, running = start(tmp_path, is_endless)
    with group_of(running):
        time.sleep(0.5)
        assert running.poll() is None
        running._process._popen.finalizer()  # closes what the process watches, as when the suite is killed
