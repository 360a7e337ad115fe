"""Reads pickles of plain numbers step by step, without an unpickler: nothing in the file is ever called."""

import pickletools
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np

__all__ = ["MAX_BYTES", "RefusedPickleError", "read_plain_pickle"]

MAX_BYTES = 1 << 18
"""The largest file read; the released tables have about a thousand bytes."""


class RefusedPickleError(Exception):
    """A pickle that holds more than a dictionary of numbers, or is damaged."""


class _Global(NamedTuple):
    name: str


class _DType(NamedTuple):
    code: str
    order: str = "="


_MARK = object()
_DICT_TYPES = {"collections.Counter", "collections.OrderedDict", "builtins.dict"}
_SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
_DTYPES = {"numpy.dtype"}
_TEXT_TO_BYTES = {"_codecs.encode"}
_KNOWN = _DICT_TYPES | _SCALARS | _DTYPES | _TEXT_TO_BYTES
_CODES = {f"{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)} - {"f1"}
_CONSTANTS = {
    "INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "SHORT_BINUNICODE",
    "BINUNICODE", "UNICODE", "SHORT_BINBYTES", "BINBYTES", "SHORT_BINSTRING", "BINSTRING", "STRING",
}  # fmt: skip
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_plain_pickle(data: bytes) -> dict[Any, Any]:
    """Returns the dictionary in a pickle: keys and values are int, float, bool or numpy numbers turned into those.

    The pickle's own program is interpreted here, with the few instructions that a dictionary needs. The names that
    numpy scalars and `collections.Counter` use are recognised and imitated; no other name is accepted, and none is
    ever imported or called.

    Args:
        data: a whole pickle, of any protocol.

    Raises:
        RefusedPickleError: another name (which is given), another kind of object, or damaged data.
    """
    if len(data) > MAX_BYTES:
        _refuse(f"it has {len(data)} bytes, more than a table needs ({MAX_BYTES})")
    try:
        result = _interpret(pickletools.genops(data))
    except RefusedPickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise RefusedPickleError(f"it is truncated or damaged ({str(error)[:120] or type(error).__name__})") from error
    if not isinstance(result, dict):
        _refuse(f"it holds {_describe(result)} where a dictionary is expected")
    return result


def _interpret(steps: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]) -> Any:
    """Runs the pickle's program on a stack of plain values."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for step, argument, _ in steps:
        name = step.name
        if name in _CONSTANTS:
            stack.append(argument)
        elif name in _VALUES:
            stack.append(_VALUES[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            stack.append(tuple(_pop(stack, _TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(_pop_to_mark(stack)))
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in ("DICT", "SETITEMS", "SETITEM"):
            items = _pop(stack, 2) if name == "SETITEM" else _pop_to_mark(stack)
            if name == "DICT":
                stack.append({})
            _set_items(stack[-1], items)
        elif name == "GLOBAL":
            stack.append(_global(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            stack.append(_global(*_pop(stack, 2)))
        elif name == "REDUCE":
            function, arguments = _pop(stack, 2)
            stack.append(_imitate(function, arguments))
        elif name == "BUILD":
            stack[-2:] = [_build(*stack[-2:])]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            _refuse(f"it uses the instruction {name}, which no table needs")
    _refuse("it is truncated")


def _pop(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        _refuse("it is damaged: an instruction lacks its values")
    taken = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return taken


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    position = len(stack) - 1
    while position >= 0 and stack[position] is not _MARK:
        position -= 1
    if position < 0:
        _refuse("it is damaged: an instruction lacks its values")
    taken = stack[position + 1 :]
    del stack[position:]
    return taken


def _set_items(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        _refuse("it is damaged: an instruction lacks its dictionary")
    for value in items:
        if not isinstance(value, int | float):
            _refuse(f"it holds {_describe(value)} where a number is expected")
        if isinstance(value, int) and value.bit_length() > 63:
            _refuse("it holds a whole number of more than 63 bits")
    target.update(zip(items[::2], items[1::2], strict=True))


def _global(module: Any, name: Any) -> _Global:
    full = f"{module}.{name}".replace("__builtin__.", "builtins.", 1)
    if full not in _KNOWN:
        _refuse(f"it names `{full[:120]}`; a table holds nothing but dict, int, float and numpy scalars")
    return _Global(full)


def _imitate(function: Any, arguments: Any) -> Any:
    """Returns what the named function would have made of plain arguments."""
    if not isinstance(function, _Global) or not isinstance(arguments, tuple):
        _refuse(f"it calls {_describe(function)}")
    match function.name, arguments:
        case name, () if name in _DICT_TYPES:
            return {}
        case name, (dict() as mapping,) if name in _DICT_TYPES:
            return mapping
        case name, (str() as code, *_) if name in _DTYPES and code in _CODES:
            return _DType(code)
        case name, (_DType() as dtype, bytes() as raw) if name in _SCALARS:
            return np.frombuffer(raw, np.dtype(dtype.order + dtype.code), count=1)[0].item()
        case name, (str() as text, *_) if name in _TEXT_TO_BYTES:
            return text.encode("latin-1")
    _refuse(f"it calls `{function.name}` with something else than plain numbers (an array, for example)")


def _build(target: Any, state: Any) -> _DType:
    """Gives a number type its byte order, the second entry of its state; nothing else has a state."""
    if isinstance(target, _DType) and isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "=", "|"):
        return target._replace(order=state[1])
    _refuse(f"it sets the state of {_describe(target)}")


def _describe(value: Any) -> str:
    if isinstance(value, _Global):
        return f"`{value.name}`"
    return "a number type" if isinstance(value, _DType) else f"a value of type {type(value).__name__}"


def _refuse(reason: str) -> NoReturn:
    raise RefusedPickleError(reason)
