"""Writing files whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

__all__ = ["write_atomic"]


def write_atomic(path: str | Path, content: bytes | str | Callable[[IO[bytes]], object]) -> Path:
    """Writes a file through a temporary neighbour and a rename, so that it is whole or absent.

    Args:
        path: where the file shall be; missing folders are made.
        content: the bytes or text, or a function that writes to the open binary file it is given.

    Returns:
        The path written.

    Raises:
        OSError: the disk is full or the folder cannot be written; an existing file is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
