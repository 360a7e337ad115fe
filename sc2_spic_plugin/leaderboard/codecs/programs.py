"""Programs outside Python that code images: found by an environment variable or on PATH, asked who they are, run."""

import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

__all__ = ["find_program", "program_answer", "wrong_program"]


def find_program(variable: str, names: tuple[str, ...]) -> str | None:
    """Returns the path of a program, or None.

    Args:
        variable: environment variable that may hold its path; then it alone decides.
        names: what it may be called on PATH.
    """
    wanted = (os.environ[variable],) if os.environ.get(variable) else names
    found = (shutil.which(Path(name).expanduser()) for name in wanted)
    return next((path for path in found if path), None)


def wrong_program(
    variable: str, names: tuple[str, ...], title: str, what: str, advice: str, option: str = "--help"
) -> str | None:
    """Returns why a program cannot be used, or None if it can.

    Args:
        variable: environment variable that may hold its path.
        names: what it may be called on PATH.
        title: what it prints about itself when asked for help.
        what: what it should be, for the message.
        advice: how to get it, for the message.
        option: what asks it for help.
    """
    path = find_program(variable, names)
    if path is None:
        named = os.environ.get(variable)
        where = f"{variable} names `{named}`, which is no program" if named else f"`{names[0]}` is not on PATH"
        return f"{where}; {advice}"
    answer = program_answer(path, option)
    if title in answer:
        return None
    said = f"it says `{answer.strip().splitlines()[0]}`" if answer.strip() else "it says nothing"
    return f"`{path}` is not {what} ({said} when asked for help); set {variable} to the right path"


def program_answer(path: str, option: str) -> str:
    """Returns what a program prints when asked for help; it is asked once per version of the file."""
    return _answer(path, option, Path(path).stat().st_mtime_ns)


@lru_cache
def _answer(path: str, option: str, _modified: int) -> str:
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout + done.stderr
