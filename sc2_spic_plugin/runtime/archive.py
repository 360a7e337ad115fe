"""What a `.pt2` file may hold: refuses all that `torch.export.load` would unpickle or evaluate."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from ..errors import CheckpointError

__all__ = ["check_archive"]

_MEMBERS = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|\.data/\w+|\.format_version|\.storage_alignment|"
    r"models/model\.json|data/(weights|constants)/model_\w+_config\.json|data/weights/weight_\d+|"
    r"data/constants/tensor_\d+|data/sample_inputs/model\.pt)"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.(?!from_file)\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|neg|truediv|pow|"
                        r"eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)|torch\.sym_\w+")  # fmt: skip
_EXPRESSION = re.compile(r"([A-Z][A-Za-z]*|[a-z]+=(True|False)|'[a-z]+\d+'|[a-z]\d+|\d+(\.\d+)?|[-+*/(), ])*")
"""Names of sympy's classes, symbols and numbers: nothing that calls a function of Python's."""


def check_archive(data: bytes, where: str) -> None:
    """Accepts an archive of plain tensors and a graph of ATen operators, as `torch.export.save` makes it of a network.

    `torch.export.load` would also unpickle example inputs and tensors of unusual types, load compiled code, look up any
    function of torch, and evaluate expressions. None of that is in the files that `sc2-spic export` writes.

    Args:
        data: the whole file.
        where: its name, for the message.

    Raises:
        CheckpointError: it is no such archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = next(_faults(archive), None)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        found = f"it cannot be read ({error})"
    if found is not None:
        raise CheckpointError(f"{where} is none of the files that `sc2-spic export` writes: {found}; export it again.")


def _faults(archive: zipfile.ZipFile) -> Iterator[str]:
    names = archive.namelist()
    if len(set(names)) != len(names):
        yield "it holds a file twice"
    for entry in archive.infolist():
        if not _MEMBERS.fullmatch(entry.filename):
            yield f"it holds `{entry.filename}`"
        if entry.filename.endswith(".pt") and entry.file_size:
            yield "it holds pickled example inputs"
        if entry.filename.endswith("_config.json"):
            config = json.loads(archive.read(entry))["config"]
            yield from (f"`{key}` is pickled" for key, value in config.items() if value["use_pickle"] is not False)
        if entry.filename.endswith("/model.json"):
            yield from _faults_of_graph(json.loads(archive.read(entry)))


def _faults_of_graph(content: Any) -> Iterator[str]:
    """Looks at every operator and size expression, however deep."""
    if isinstance(content, list):
        for item in content:
            yield from _faults_of_graph(item)
    elif isinstance(content, dict):
        if "target" in content and not _OPERATORS.fullmatch(content["target"]):
            yield f"its graph calls `{content['target']}`"
        if "expr_str" in content and not _EXPRESSION.fullmatch(content["expr_str"]):
            yield f"its graph computes the size `{content['expr_str']}`"
        for value in content.values():
            yield from _faults_of_graph(value)
