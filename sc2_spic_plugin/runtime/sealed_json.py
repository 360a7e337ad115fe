"""JSON files that say their format and its version, and carry a digest of themselves."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CheckpointError
from ..version import __version__

__all__ = ["SealedFormat", "content_digest"]


def content_digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 (hex) of what JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class SealedFormat(NamedTuple):
    """One kind of file; its text begins with the format's name and version and ends with a digest of all before.

    Attributes:
        name: what the file's `format` says.
        version: of the format.
        what: what a file describes, for messages.
        writer: what writes such files, for messages.
    """

    name: str
    version: int
    what: str
    writer: str

    def text(self, content: Mapping[str, Any]) -> str:
        """Returns the text of a file; `content` has `plugin_version` among its keys."""
        whole = {"format": self.name, "format_version": self.version, **content}
        return json.dumps({**whole, "digest": content_digest(whole)}, indent=1) + "\n"

    def read(self, path: Path, keys: Collection[str]) -> dict[str, Any]:
        """Reads a file's content back, with exactly these keys.

        Raises:
            CheckpointError: no such file, one of another format or version, or one that was altered.
        """
        again = f"copy it again, or write it again with {self.writer}"
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}); {again}.") from error
        if not isinstance(content, dict) or content.get("format") != self.name:
            raise CheckpointError(f"{path} describes no {self.what}; give a file that {self.writer} wrote.")
        if content.get("format_version") != self.version:
            raise CheckpointError(
                f"{path} has format version {content.get('format_version')!r} (written by plugin "
                f"{content.get('plugin_version')!r}), this plugin ({__version__}) reads {self.version}: write it with "
                "this plugin, or read it with that one."
            )
        digest = content.pop("digest", None)
        if digest != content_digest(content) or set(content) != {"format", "format_version", *keys}:
            raise CheckpointError(f"{path} was altered after it was written: {again}.")
        return {key: content[key] for key in keys}
