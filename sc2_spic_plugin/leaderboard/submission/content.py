"""What a readable result file must say to stand in a table: protocol, network, provenance, figures of each point."""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ..protocol import Protocol, load_protocol, protocol_names
from ..results import Point, ResultFile
from ..styles import METHOD_STYLES, SENT_OUTPUT_METHODS, UNCODED_METHODS
from .item import Item, listed

__all__ = ["content_items"]

_RATE_TOLERANCE = 1e-6
_DIGEST = re.compile("[0-9a-f]{64}")
_SUPERVISIONS = (None, "supervised", "unsupervised")
_UNTRAINED = frozenset(
    {*UNCODED_METHODS, *SENT_OUTPUT_METHODS, "feature_fp32", "feature_int8", "jpeg_feature", "webp_feature"}
    | {"jpeg", "webp", "heic", "bpg", "vtm", "png"}
)
"""Methods without weights of their own; those of which nobody knows are asked politely."""


class _Needed(NamedTuple):
    """A figure of every point."""

    column: str
    meaning: str
    to_do: str
    is_required: bool = True


_FIGURES = (
    _Needed("payload_bytes", "what crosses the link, bytes per image", "count the bytes that were decoded again"),
    _Needed("code_bytes", "the entropy-coded symbols alone", "count the code without its header"),
    _Needed("confidence_low", "the 95 % interval", "bootstrap it over images (`leaderboard.bootstrap_interval`)"),
    _Needed("config_sha256", "the digest of the config", "SHA-256 of the config file as it was run"),
    _Needed("harness_kilobytes", "sc2bench's figure", "pickle {strings, shape} as its FileSizeAnalyzer does", False),
    _Needed("encoder_kilobytes", "the device's share", "sc2bench's analyze_model_size, bits / 8 / 1024", False),
    _Needed("encoder_macs", "the device's work", "count multiply-accumulates up to the bytes", False),
    _Needed("encode_ms", "latency on the device", "time it as the protocol's `timing` says", False),
    _Needed("decode_ms", "latency on the server", "time it as the protocol's `timing` says", False),
)  # fmt: skip


def content_items(result: ResultFile) -> list[Item]:
    """Returns what a result lacks in itself, whatever lies beside its file."""
    protocol = _protocol(result)
    found = [*_of_protocol(result, protocol), *_provenance(result), *_standing(result)]
    return [*found, *_figures(result), *_rates(result, protocol), *_training(result)]


def _protocol(result: ResultFile) -> Protocol | None:
    name = result.meta.protocol
    return load_protocol(name) if name in protocol_names() else None


def _of_protocol(result: ResultFile, protocol: Protocol | None) -> Iterator[Item]:
    meta = result.meta
    if protocol is None:
        yield Item(
            f"the protocol `{meta.protocol}` is none of the shipped ones ({', '.join(protocol_names())})",
            "measure under one of these, or add the protocol's YAML to benchmarks/protocols in the same request",
        )
    elif meta.task != protocol.task:
        yield Item(f"meta.task is {meta.task}, protocol {protocol.name} is for {protocol.task}", "correct one of them")
    elif meta.protocol_sha256 != protocol.sha256:
        was = "missing" if meta.protocol_sha256 is None else "of other values than the shipped protocol's"
        yield Item(
            f"meta.protocol_sha256 is {was}",
            f"measure as `load_protocol('{protocol.name}')` says and write its `sha256`: {protocol.sha256}",
        )


def _provenance(result: ResultFile) -> Iterator[Item]:
    meta = result.meta
    if meta.network_sha256 is None:
        yield Item(
            "meta.network_sha256 is missing: points of different networks never share a table",
            "write `sc2_spic_plugin.ops.tensors_digest(network.state_dict())` of the original network",
        )
    elif not _DIGEST.fullmatch(meta.network_sha256):
        yield Item("meta.network_sha256 is no SHA-256 digest", "write its 64 hexadecimal digits, in lower case")
    if meta.supervision not in _SUPERVISIONS:
        yield Item(f"meta.supervision is {meta.supervision!r}", "write `supervised`, `unsupervised` or null")
    if meta.samples is None:
        yield Item("meta.samples is missing", "write how many images are reported")
    if meta.code_version.endswith(".dirty"):
        yield Item(f"meta.code_version is {meta.code_version}", "commit your changes and measure again")
    for name, wanted in (
        ("versions", "at least torch and what codes the bits"),
        ("environment", "Python, platform, processors, threads; no host or user name"),
    ):
        if not getattr(meta, name):
            yield Item(f"meta.{name} is empty", f"write {wanted}")
    try:
        datetime.fromisoformat(meta.date)
    except (TypeError, ValueError):
        yield Item(f"meta.date is {meta.date!r}", "write when it was measured, ISO 8601: 2025-01-31T12:00:00+00:00")


def _standing(result: ResultFile) -> Iterator[Item]:
    meta = result.meta
    if meta.bits != "measured":
        yield Item(
            f"meta.bits is {meta.bits}",
            "code and decode real bytes and take the accuracy from what was decoded; a row whose bits are as reported "
            "may stand in a table, marked, but competes with none (see SUBMITTING.md)",
        )
    if meta.bypassed:
        yield Item(
            "data pass the cut uncounted (meta.bypassed)",
            "cut where the tensor is the only path, or live with rows that say `bypassed` and are on no front",
            False,
        )
    if meta.method.startswith("spic") and meta.cut is None:
        yield Item("meta.cut is missing", "write the module after which the network is cut")
    if meta.method not in METHOD_STYLES:
        yield Item(
            f"no colour is fixed for method `{meta.method}`",
            "propose a line of METHOD_STYLES in the same request; until then the colour follows from the name",
            False,
        )


def _figures(result: ResultFile) -> Iterator[Item]:
    if result.meta.method in UNCODED_METHODS:
        return
    for column, meaning, to_do, is_required in _FIGURES:
        yield from _lacking(
            result,
            lambda point, column=column: getattr(point, column) is None,  # type: ignore[misc]
            f"{column} ({meaning}) is missing",
            to_do,
            is_required,
        )


def _rates(result: ResultFile, protocol: Protocol | None) -> Iterator[Item]:
    yield from _lacking(
        result,
        lambda point: (point.code_bytes or 0.0) > (math.inf if point.payload_bytes is None else point.payload_bytes),
        "code_bytes is more than payload_bytes",
        "the payload is code and header: it is never the smaller one",
    )
    if result.meta.method not in UNCODED_METHODS:
        yield from _lacking(
            result,
            lambda point: point.payload_bytes == 0,
            "payload_bytes is 0",
            "nothing that was sent cannot tell images apart; count what crosses the link",
        )
    if protocol is None or protocol.pixels is None or protocol.task != result.meta.task:
        return
    pixels = protocol.pixels

    def differs(point: Point) -> bool:
        if point.bpp is None or point.payload_bytes is None:
            return False
        return not math.isclose(point.bpp, point.payload_bytes * 8 / pixels, rel_tol=_RATE_TOLERANCE)

    to_do = f"bpp is payload_bytes x 8 / {pixels} pixels under {protocol.name}; correct whichever is wrong"
    yield from _lacking(result, differs, "bpp and payload_bytes contradict each other", to_do)


def _training(result: ResultFile) -> Iterator[Item]:
    method = result.meta.method
    if method not in _UNTRAINED:
        yield from _lacking(
            result,
            lambda point: point.checkpoint_sha256 is None,
            "checkpoint_sha256 is missing",
            "SHA-256 of the checkpoint that was measured",
            method in METHOD_STYLES,
        )
    for column in ("config_sha256", "checkpoint_sha256"):
        yield from _lacking(
            result,
            lambda point, column=column: not _DIGEST.fullmatch(getattr(point, column) or "0" * 64),  # type: ignore[misc]
            f"{column} is no SHA-256 digest",
            "write its 64 hexadecimal digits, in lower case",
        )
    yield from _lacking(
        result,
        lambda point: point.checkpoint_sha256 is not None and point.seed is None,
        "seed (of the training) is missing",
        "write the seed that the training was started with",
    )
    if any(point.checkpoint_sha256 for point in result.points) and result.meta.supervision is None:
        yield Item(
            "meta.supervision is missing",
            "write `supervised` if a label of the task was used in training, else `unsupervised`",
            False,
        )


def _lacking(
    result: ResultFile, lacks: Callable[[Point], Any], what: str, to_do: str, is_required: bool = True
) -> Iterator[Item]:
    """Yields one item for all points that lack something."""
    units = [point.unit for point in result.points if lacks(point)]
    if units:
        yield Item(f"{what} at {listed(units, len(result.points))}", to_do, is_required)
