"""The layout of a result file, judged entry by entry, so that everything wrong is said at once."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import DataError, nearest
from ..results import METRICS, SCHEMA_VERSION, Meta, Point, column_names
from .item import Item

__all__ = ["layout_items"]

_KINDS = {
    "name": "text for the legend",
    "description": "one sentence",
    "results": "mapping of lists",
    "meta": "mapping",
}
_MEANINGS = {
    "task": "`classification` or `segmentation`",
    "dataset": "name of the reported data set, as other results of it have",
    "protocol": "name of the protocol, see benchmarks/protocols",
    "network": "name of the original network, for example `resnet50`",
    "method": "key of the method, letters, digits and _",
    "samples": "how many images are reported",
    "code_version": "version of the code that measured, with its commit",
    "versions": "version of each package that matters: {torch: ..., torchvision: ...}",
    "date": "when, ISO 8601 in UTC: 2025-01-31T12:00:00+00:00",
}
_PLACEHOLDERS: dict[str, Any] = {
    "task": "classification",
    **{key: "-" for key in ("dataset", "protocol", "network", "method", "code_version", "date")},
    "samples": 1,
    "versions": {},
}


def layout_items(document: Any) -> list[Item]:
    """Returns what keeps a JSON document from being a result file; none if it is one, points that contradict apart."""
    return list(_items(document))


def _items(document: Any) -> Iterator[Item]:
    if not isinstance(document, Mapping):
        yield Item("the file holds no JSON object", "write {name, description, results, meta}; see SUBMITTING.md")
        return
    types = {"name": str, "description": str, "results": Mapping, "meta": Mapping}
    for key, kind in types.items():
        if not isinstance(document.get(key), kind):
            yield Item(f"`{key}` is missing or of another kind", f"write a {_KINDS[key]}")
    meta, results = document.get("meta"), document.get("results")
    if isinstance(meta, Mapping):
        yield from _meta(meta)
    if isinstance(results, Mapping):
        task = meta.get("task") if isinstance(meta, Mapping) else None
        yield from _results(results, METRICS.get(str(task)))


def _meta(meta: Mapping[str, Any]) -> Iterator[Item]:
    fields = {item.name: item for item in dataclasses.fields(Meta)}
    for key in meta:
        if key not in fields:
            yield Item(f"unknown key meta.{key}", f"rename or remove it; {nearest(str(key), fields)}")
    if meta.get("schema_version") != SCHEMA_VERSION:
        yield Item(
            f"meta.schema_version is {meta.get('schema_version')!r}",
            f"write {SCHEMA_VERSION}, the layout that this version reads; see benchmarks/SUBMITTING.md",
        )
    for key, item in fields.items():
        is_needed = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if key not in meta:
            if is_needed:
                yield Item(f"meta.{key} is missing", f"write {_MEANINGS[key]}")
        elif key != "schema_version":
            try:
                Meta(**{**_PLACEHOLDERS, key: meta[key]})
            except (DataError, TypeError) as error:
                yield Item(f"meta.{key} cannot be used", str(error))


def _results(results: Mapping[str, Any], metric: str | None) -> Iterator[Item]:
    metrics = (metric,) if metric else ()
    for column in ("bpp", "unit", *metrics):
        if column not in results:
            yield Item(f"results.{column} is missing", "write a list with one entry per operating point")
    lists = {name: values for name, values in results.items() if isinstance(values, list)}
    for name in results:
        if name not in lists:
            yield Item(f"results.{name} is no list", "write a list with one entry per operating point")
    lengths = {name: len(values) for name, values in lists.items()}
    count = lengths.get("bpp", max(lengths.values(), default=0))
    if not count:
        yield Item("results has no point", "measure at least one operating point")
    for name, length in lengths.items():
        if length != count:
            yield Item(f"results.{name} has {length} entries, there are {count} points", "write one entry per point")
    fixed = column_names()
    for name, values in lists.items():
        for index, value in enumerate(values):
            known = {name: value} if name in fixed else {"extra": {name: value}}
            try:
                Point(**{"bpp": None, "unit": "-", **_without_interval(known)})
            except (DataError, TypeError) as error:
                yield Item(f"results.{name}[{index}] cannot be used", _remedy(str(error)))


def _without_interval(known: dict[str, Any]) -> dict[str, Any]:
    """Returns an end of an interval as both ends, so that it is judged alone."""
    for name in ("confidence_low", "confidence_high"):
        if name in known:
            return {"confidence_low": known[name], "confidence_high": known[name]}
    return known


def _remedy(error: str) -> str:
    return f"{error.removeprefix('Point `-`: ')} Write null where nothing was measured."
