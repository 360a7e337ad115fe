"""What a `.pt2` file may hold: refuses all that `torch.export.load` would unpickle, import or evaluate."""

import io
import json
import keyword
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from ..errors import CheckpointError

__all__ = ["checked_archive"]

_MEMBERS = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|\.data/\w+|\.format_version|\.storage_alignment|"
    r"models/model\.json|data/(weights|constants)/model_\w+_config\.json|data/weights/weight_\d+|"
    r"data/constants/tensor_\d+|data/sample_inputs/model\.pt)"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.(?!from_file)\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|neg|truediv|pow|"
                        r"eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)|torch\.sym_\w+")  # fmt: skip
_EXPRESSION = re.compile(r"([A-Z][A-Za-z]*+|[a-z]++=(True|False)|'[a-z]++\d++'|[a-z]\d++|\d++(\.\d++)?+|[-+*/(), ])*+")
"""Names of sympy's classes, symbols and numbers: nothing that calls a function of Python's."""
_ARGUMENTS = re.compile(
    r"as_((optional_)?tensor|int|float|bool|sym_int|sym_bool|sym_float)s?|"
    r"as_(none|string|scalar_type|memory_format|layout|device|expr|name)"
)
"""Kinds of arguments: no graphs, operators or objects."""
_TREES = {
    *(None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"),
    *("torch.fx.immutable_collections.immutable_list", "torch.fx.immutable_collections.immutable_dict"),
}
"""Containers that a network takes and returns; of others torch would import what they name."""
_DOTTED = re.compile(r"[\w.]*+")


def checked_archive(data: bytes, where: str) -> bytes:
    """Returns an archive of plain tensors and a graph of ATen operators, as `torch.export.save` makes it of a network.

    `torch.export.load` would also unpickle example inputs and tensors of unusual types, load compiled code, look up any
    function of torch, import what a container names, and make Python code of names and expressions. None of that is in
    the files that `sc2-spic export` writes. What is returned is packed anew from the members that were looked at, so
    that nobody reads another directory of the same file, and without what a graph says of the code that it came from.

    Args:
        data: the whole file.
        where: its name, for the message.

    Raises:
        CheckpointError: it is no such archive.
    """
    packed = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as clean:
            found = next(_faults(archive), None)
            for entry in archive.infolist() if found is None else ():
                content = archive.read(entry)
                is_graph = entry.filename.endswith("/model.json")
                clean.writestr(entry.filename, json.dumps(_plain(json.loads(content))) if is_graph else content)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        found = f"it cannot be read ({error})"
    if found is not None:
        raise CheckpointError(f"{where} is none of the files that `sc2-spic export` writes: {found}; export it again.")
    return packed.getvalue()


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
            yield from _faults_of_graph(_plain(json.loads(archive.read(entry))))


def _plain(content: Any) -> Any:
    """Returns a graph without its guards and without what its nodes say of the code that they came from."""
    if isinstance(content, list):
        return [_plain(item) for item in content]
    if isinstance(content, dict):
        empty: dict[str, Any] = {"metadata": {}, "guards_code": []}
        return {key: empty.get(key) if key in empty else _plain(value) for key, value in content.items()}
    return content


def _faults_of_graph(content: Any, key: str = "") -> Iterator[str]:
    """Looks at every name, operator, container and size expression, however deep; `key` is what `content` stands at."""
    if isinstance(content, list):
        for item in content:
            yield from _faults_of_graph(item, key)
    elif isinstance(content, dict):
        for name, value in content.items():
            if not name.isidentifier() or (name.startswith("as_") and not _ARGUMENTS.fullmatch(name)):
                yield f"its graph holds `{name}`"
            yield from _faults_of_graph(value, name)
    elif isinstance(content, str):
        yield from _faults_of_text(content, key)


def _faults_of_text(text: str, key: str) -> Iterator[str]:
    if key == "target":
        if not _OPERATORS.fullmatch(text):
            yield f"its graph calls `{text}`"
    elif key == "expr_str":
        if not _EXPRESSION.fullmatch(text):
            yield f"its graph computes the size `{text}`"
    elif key in ("in_spec", "out_spec"):
        yield from _faults_of_tree(json.loads(text)[1])
    elif key in ("name", "as_name", "forward_arg_names"):
        if not text.isidentifier() or keyword.iskeyword(text):
            yield f"its graph calls a value `{text}`"
    elif key != "torch_version" and not _DOTTED.fullmatch(text):
        yield f"its graph holds `{text}`"


def _faults_of_tree(tree: Any) -> Iterator[str]:
    """Looks at the containers of a network's arguments or results, whose contexts are keys or nothing."""
    if tree["type"] not in _TREES:
        yield f"its graph takes or returns a `{tree['type']}`"
    context = tree["context"] if tree["context"] is None else json.loads(tree["context"])
    keys = [] if context is None else context
    if not isinstance(keys, list) or not all(isinstance(key, str) and _DOTTED.fullmatch(key) for key in keys):
        yield f"its graph takes or returns a container of `{tree['context']}`"
    for child in tree["children_spec"]:
        yield from _faults_of_tree(child)
