"""Where workers run: in this process, in several of this machine, or where Ray puts them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import ConfigError, SpicError, TrainingError
from .generation import Report
from .job import SearchJob
from .worker import work

__all__ = ["EXECUTORS", "run_workers", "stop_on_sigterm"]

EXECUTORS = ("local", "ray")
_RAY_MEMORY = 100 << 20
"""Of the store for what tasks hand over, which is next to nothing; the least that Ray takes is 75 MB."""
Say = Callable[[str], None]


def run_workers(job: SearchJob, executor: str, say: Say, report: Report) -> None:
    """Runs a search's workers until it is over; one that is lost takes nothing with it, the others go on.

    Args:
        job: the search, its stores built and its study made.
        executor: `local`: one worker in this process, more in processes of their own; `ray`: each a task of the
            cluster that RAY_ADDRESS names, or of one started on this machine.
        say: called with lines for the user.
        report: progress of a worker in this process.

    Raises:
        SpicError: what stopped the workers, if none of them finished the search.
    """
    if executor == "ray":
        problems = _on_ray(job, say)
    elif job.workers == 1:
        work(job, say, report)
        return
    else:
        problems = _in_processes(job, say)
    for problem in problems:
        say(problem)
    if len(problems) == job.workers:
        raise TrainingError(f"every worker stopped; what was told is kept: {problems[0]}. Go on with --resume.")


def _in_processes(job: SearchJob, say: Say) -> list[str]:
    """Returns what stopped workers, a line for each that did not finish."""
    context = multiprocessing.get_context("spawn")
    workers = []
    for number in range(1, job.workers + 1):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(job, sender), name=f"worker {number}", daemon=True)
        process.start()
        sender.close()  # the child's copy alone is left, so that its end is seen here
        workers.append((process, receiver))
    open_ends: dict[Any, Any] = {receiver: process for process, receiver in workers}
    problems = []
    while open_ends:
        ready: list[Any] = list(wait(list(open_ends)))
        for receiver in ready:
            process = open_ends[receiver]
            try:
                kind, text = receiver.recv()
            except EOFError:
                process.join()
                del open_ends[receiver]
                if process.exitcode:
                    problems.append(f"{process.name} was lost (exit code {process.exitcode})")
                continue
            if kind == "problem":
                problems.append(f"{process.name} stopped: {text}")
            else:
                say(f"{process.name}: {text}")
    return problems


def _child(job: SearchJob, sender: Connection) -> None:
    """Works in a process of its own; goes when the process that started it is gone."""
    stop_on_sigterm()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
    try:
        work(job, lambda line: sender.send(("line", line)))
    except (SpicError, OSError) as error:
        sender.send(("problem", str(error)))
    except KeyboardInterrupt:
        sender.send(("problem", "interrupted; its candidates are put back"))


def _on_ray(job: SearchJob, say: Say) -> list[str]:
    """Returns what stopped workers, a line for each that did not finish."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--executor ray needs Ray: pip install 'sc2-spic-plugin[ray]'.") from error

    address = os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {"num_cpus": max(job.workers, os.cpu_count() or 1), "object_store_memory": _RAY_MEMORY}
    ray.init(
        address=address,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        **({} if address else own),
    )
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len(nodes) > 1 and job.is_local:
            raise ConfigError(
                f"the Ray cluster has {len(nodes)} machines, and {job.url} is a file of one; give --storage with the "
                "URL of a database that all of them reach, and an --out that all of them share."
            )
        gpus = 1 if job.device.startswith("cuda") else 0
        place = ray.remote(num_cpus=job.threads or 1, num_gpus=gpus, max_retries=0)(_ray_task)
        tasks = {place.remote(job, str(Path.cwd())): number for number in range(1, job.workers + 1)}
        say(f"{len(tasks)} workers handed to Ray ({len(nodes)} machine{'s' if len(nodes) > 1 else ''})")
        problems, left = [], list(tasks)
        while left:
            done, left = ray.wait(left)
            try:
                lines = ray.get(done[0])
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                problems.append(f"worker {tasks[done[0]]} stopped: {cause}")
            else:
                say(f"worker {tasks[done[0]]}: {lines} banks trained")
        return problems
    finally:
        ray.shutdown()


def _ray_task(job: SearchJob, folder: str) -> int:
    """Works where Ray put it, in the folder that a config's paths start from; returns how many banks it trained."""
    os.chdir(folder)
    banks: list[str] = []
    work(job, lambda line: banks.append(line) if line.endswith("done") else None)
    return len(banks)


def stop_on_sigterm() -> None:
    """Makes a scheduler's or `kill`'s polite signal do what Ctrl-C does, so that candidates are put back."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
