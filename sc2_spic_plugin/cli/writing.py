"""Text files that commands write: none is replaced unasked, all are written or none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from ..errors import ConfigError

__all__ = ["check_free", "write_texts"]


def check_free(paths: Sequence[Path], overwrite: bool) -> None:
    """Checks that nothing is replaced unasked.

    Raises:
        ConfigError: a file is there.
    """
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        raise ConfigError(f"{', '.join(there)} exists; choose another --out, or pass --overwrite.")


def write_texts(files: Mapping[Path, str], overwrite: bool) -> None:
    """Writes text files and prints which, none unless all may be written; one that holds the text already is kept.

    Raises:
        ConfigError: a file with another text is there, and nobody said to replace it.
    """
    from ..ops import write_atomic

    changed = [path for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode()]
    check_free(changed, overwrite)
    for path, text in files.items():
        typer.echo(str(write_atomic(path, text) if path in changed else path))
