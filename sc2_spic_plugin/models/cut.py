"""Cutting a network at one tensor, with proof that nothing else of the image reaches the output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..errors import CutError, nearest
from .halves import Half, build_halves
from .proof import Dependence, Walk, dependence, descendants, walk_back
from .tracing import TracedNetwork, display_name, eval_mode, is_tap, original_path, trace_network

__all__ = ["CutNetwork", "cut_network"]


@dataclass(frozen=True, eq=False)
class CutNetwork:
    """A network cut in two at one tensor.

        image -> front_end -> cut tensor (and what crosses beside it) -> back_end -> output

    Attributes:
        front_end: images (B, C, H, W) -> the cut tensor, or (cut tensor, *crossing) where something crosses.
        back_end: (cut tensor, *crossing) -> the network's output, without `dropped_outputs`.
        cut: the name of the module whose output is the cut tensor.
        bypassed: whether tensors reach the output beside the cut tensor; then the rate of the cut tensor is not all.
        crossing: names of what crosses: integers that depend on the image's size only, or, if `bypassed`, tensors.
        feature_size: shape of the cut tensor for the example input, without the batch.
        mutates_input: whether the back-end overwrites the cut tensor it is given.
        dropped_outputs: outputs that do not depend on the cut tensor and are not computed (keys or positions).
    """

    front_end: Half
    back_end: Half
    cut: str
    bypassed: bool
    crossing: tuple[str, ...]
    feature_size: tuple[int, ...]
    mutates_input: bool
    dropped_outputs: tuple[str, ...]


def cut_network(
    network: nn.Module,
    cut: str,
    example_input: Tensor,
    allow_bypass: bool = False,
    outputs: Sequence[str] | None = None,
) -> CutNetwork:
    """Cuts a network at the output of a module and proves the cut on the traced graph.

    The halves keep the original module and parameter names, share the network's tensors and run in eval mode. A
    forward hook at any original module path fires, containers included.

    Args:
        network: any torch.fx-traceable network of one image batch; it is left as it was.
        cut: name of a module, for example `layer4.2`; `name#k` is the k-th call of one that is called several times.
        example_input: images (B, C, H, W) that the network takes; the halves are checked on them.
        allow_bypass: let tensors cross beside the cut tensor. Their bits are not counted, so results made with such
            a cut must say so.
        outputs: entries of the network's output that are wanted, for a network that returns a dict; None: all that
            depend on the cut tensor.

    Returns:
        The halves and what is known about them.

    Raises:
        CutError: unknown or ambiguous name, no single tensor there, untraceable network, a cut that is bypassed or
            does not lie between image and output, an output that the network does not have.
    """
    traced = trace_network(network, example_input)
    node = _find(traced, cut)
    depends = dependence(traced)
    if depends[node] is not Dependence.DATA:
        raise CutError(f"`{cut}` does not depend on the image, so there is nothing to send; cut at another module.")
    output, dropped = _kept_output(traced, cut, node, depends, outputs)
    walk = walk_back(traced, node, _nodes(output), depends)
    if not walk.reached:
        raise CutError(
            f"`{cut}` does not reach the output of {type(network).__name__}. {_advice(traced, node, depends)}"
        )
    if walk.bypassing and not allow_bypass:
        raise CutError(_bypass_message(traced, cut, node, walk, depends))
    front_end, back_end, crossing = build_halves(traced, node, walk, output)
    mutates = _verify(traced, cut, front_end, back_end, example_input, crossing)
    shape = traced.values[node].shape or ()
    return CutNetwork(front_end, back_end, cut, bool(walk.bypassing), crossing, shape[1:], mutates, tuple(dropped))


def _find(traced: TracedNetwork, cut: str) -> fx.Node:
    name, _, index = cut.partition("#")
    known = [path for path in traced.calls if path]
    modules = dict(traced.network.named_modules(remove_duplicate=False))
    path = next((path for path in known if modules[path] is modules.get(name)), name)
    if name not in modules or not name:
        raise CutError(f"{type(traced.network).__name__} has no module `{name}`. {nearest(name, known)}")
    if path not in traced.calls:
        pieces = {
            original_path(item.target) for item in traced.graph.nodes if item.op == "call_module" and not is_tap(item)
        }
        inside = next((piece for piece in pieces if name.startswith(f"{piece}.")), None)
        why = f"it is part of `{inside}`, which is one piece" if inside else "it is never called in eval mode"
        raise CutError(f"cannot cut at `{name}`: {why}. {nearest(name, known)}")
    calls = traced.calls[path]
    if not index and len(calls) > 1:
        offered = ", ".join(f"`{name}#{k}`" for k in range(len(calls)))
        raise CutError(f"`{name}` is called {len(calls)} times; say which call is meant: {offered}.")
    if index and not (index.isdecimal() and int(index) < len(calls)):
        raise CutError(f"`{cut}`: `{name}` is called {len(calls)} times; use `{name}#0` to `{name}#{len(calls) - 1}`.")
    node = calls[int(index or 0)]
    if not isinstance(node, fx.Node) or not traced.values[node].is_tensor:
        tensors = list(dict.fromkeys(named.partition("#")[0] for named in _named_tensors(traced).values()))
        inner = [other for other in tensors if other.startswith(f"{name}.")] or tensors
        raise CutError(f"`{name}` does not return one tensor; cut at a module that does. {nearest(name, inner)}")
    return node


def _kept_output(
    traced: TracedNetwork,
    cut: str,
    node: fx.Node,
    depends: dict[fx.Node, Dependence],
    wanted: Sequence[str] | None,
) -> tuple[Any, list[str]]:
    """Leaves out the entries of the output that nobody wants, or that depend on the image but not on the cut tensor."""
    output = next(item for item in traced.graph.nodes if item.op == "output").args[0]
    unwanted: list[str] = []
    if wanted is not None:
        entries = output if isinstance(output, dict) else {}
        for key in wanted:
            if key not in entries:
                raise CutError(f"{type(traced.network).__name__} has no output `{key}`. {nearest(key, list(entries))}")
        unwanted = [str(key) for key in entries if key not in wanted]
        output = {key: entries[key] for key in entries if key in wanted}
    after = descendants(traced.graph, node) | {node}

    def is_independent(entry: Any) -> bool:
        nodes = _nodes(entry)
        return any(depends[item] is Dependence.DATA for item in nodes) and not any(item in after for item in nodes)

    if isinstance(output, dict):
        dropped = [str(key) for key, entry in output.items() if is_independent(entry)]
        kept: Any = {key: entry for key, entry in output.items() if not is_independent(entry)}
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", range(len(output)))
        dropped = [str(name) for name, entry in zip(names, output, strict=True) if is_independent(entry)]
        items: list[Any] = [None if is_independent(entry) else entry for entry in output]
        kept = type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    else:
        dropped, kept = [], output
    dropped = [*unwanted, *dropped]
    if not any(item in after for item in _nodes(kept)):
        raise CutError(f"`{cut}` does not reach the output. {_advice(traced, node, depends)}")
    return kept, dropped


def _bypass_message(
    traced: TracedNetwork, cut: str, node: fx.Node, walk: Walk, depends: dict[fx.Node, Dependence]
) -> str:
    paths = []
    for source, readers in walk.bypassing.items():
        joins = ", ".join(dict.fromkeys(f"`{display_name(reader)}`" for reader in readers))
        paths.append(f"`{display_name(source)}`" + (f" (joins at {joins})" if joins else ""))
    shown = "; ".join(paths[:6]) + (f"; and {len(paths) - 6} more" if len(paths) > 6 else "")
    return (
        f"`{cut}` is not a cut of {type(traced.network).__name__}: the output also reads {shown}, computed from the "
        f"image without passing `{cut}`. {_advice(traced, node, depends)} With allow_bypass=True these tensors cross "
        "uncompressed and uncounted, and results are marked as bypassed."
    )


def _advice(traced: TracedNetwork, node: fx.Node, depends: dict[fx.Node, Dependence]) -> str:
    """Names the nearest true cuts before a node and after it; after it, a module that it is part of comes first."""
    order = {item: index for index, item in enumerate(traced.graph.nodes)}
    named = _named_tensors(traced)
    candidates = sorted(named, key=order.__getitem__)
    before = (item for item in reversed(candidates) if order[item] < order[node])
    around = [item for item in candidates if original_path(node.target).startswith(f"{named[item]}.")]
    after = (item for item in (*around, *candidates) if order[item] > order[node])
    outputs = _nodes(next(item for item in traced.graph.nodes if item.op == "output").args[0])
    found = [f"`{named[item]}`" for side in (before, after) for item in _true_cuts(traced, side, outputs, depends)]
    return f"The nearest true cuts are {' and '.join(found)}." if found else "The network has no true cut near it."


def _named_tensors(traced: TracedNetwork) -> dict[fx.Node, str]:
    """Names every tensor that one call of a module returned."""
    named: dict[fx.Node, str] = {}
    for path, calls in traced.calls.items():
        for index, returned in enumerate(calls):
            if path and isinstance(returned, fx.Node) and traced.values[returned].is_tensor:
                named[returned] = f"{path}#{index}" if len(calls) > 1 else path
    return named


def _true_cuts(
    traced: TracedNetwork, candidates: Iterator[fx.Node], outputs: list[fx.Node], depends: dict[fx.Node, Dependence]
) -> Iterator[fx.Node]:
    """Yields the first candidate that every tensor between image and output passes."""
    for item in candidates:
        if depends[item] is Dependence.DATA:
            after = descendants(traced.graph, item) | {item}
            walk = walk_back(traced, item, [node for node in outputs if node in after], depends)
            if walk.reached and not walk.bypassing:
                yield item
                return


def _nodes(structure: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.node.map_arg(structure, found.append)
    return found


def _verify(
    traced: TracedNetwork, cut: str, front_end: Half, back_end: Half, example: Tensor, names: Sequence[str]
) -> bool:
    """Compares halves and network on the example and a larger batch; says if the back-end writes into its input."""
    noise = torch.rand(example.shape, generator=torch.Generator().manual_seed(0)).to(example)
    larger = torch.cat([example, noise])
    with eval_mode(traced.network), torch.no_grad():
        pairs = [(example, traced.output), (larger, traced.network(larger))]
        alone: list[Any] = []
        for images, expected in pairs:
            sent = front_end(images)
            features, *crossing = sent if isinstance(sent, tuple) else (sent,)
            alone = alone or crossing
            counts = [name for name, *sizes in zip(names, alone, crossing, strict=True) if _are_other_sizes(*sizes)]
            if counts:
                raise CutError(
                    f"what crosses beside `{cut}`, {', '.join(f'`{name}`' for name in counts)}, depends on how many "
                    "images are in a batch, but each image is sent by itself; cut after what reads it, or before it."
                )
            version = features._version
            if not _equal(back_end(features, *crossing), expected):
                raise CutError(
                    f"the halves of {type(traced.network).__name__} cut at `{cut}` do not reproduce its output; its "
                    "forward pass is random, keeps state, or has side effects that tracing cannot see."
                )
    return features._version != version


def _are_other_sizes(one: Any, other: Any) -> bool:
    return not isinstance(one, Tensor) and one != other


def _equal(ours: Any, original: Any) -> bool:
    """Compares what the back-end returns with the same entries of the original output."""
    if isinstance(ours, Tensor):
        tolerance = 0.0 if ours.device.type == "cpu" else 1e-4
        same = isinstance(original, Tensor) and ours.shape == original.shape and ours.dtype == original.dtype
        return same and torch.allclose(ours, original, rtol=tolerance, atol=tolerance, equal_nan=True)
    if isinstance(ours, dict):
        return all(key in original and _equal(value, original[key]) for key, value in ours.items())
    if isinstance(ours, tuple | list):
        return len(ours) == len(original) and all(map(_equal, ours, original))
    return ours is None or bool(ours == original)
