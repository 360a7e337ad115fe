"""The proof of a cut: what reaches the output without passing the cut tensor, and what may cross beside it."""

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import torch
from torch import fx

from .tracing import TracedNetwork, Value, display_name, is_tap

__all__ = ["Dependence", "Walk", "dependence", "descendants", "size_expression", "starts_with_batch", "walk_back"]

SIZE_ATTRIBUTES = {"shape", "ndim", "device", "dtype", "is_cuda"}
SIZE_METHODS = {"size", "dim", "numel", "nelement", "ndimension", "is_floating_point"}
SIZE_FUNCTIONS: set[Any] = {len, torch.numel, torch.is_floating_point, torch.is_tensor}


class Dependence(IntEnum):
    """What of the image a value depends on."""

    NONE = 0
    SIZE = 1
    DATA = 2


@dataclass
class Walk:
    """What walking back from the output to the cut tensor met.

    Attributes:
        back: nodes to be computed after the cut.
        sizes: integer values of the image's size to be computed before the cut, in graph order.
        like_cut: nodes that ask a tensor before the cut for its device, type or batch; the cut tensor is asked instead.
        bypassing: tensors computed before the cut that the rest reads, each with its readers, in graph order.
        reached: whether the cut tensor was met.
    """

    back: set[fx.Node] = field(default_factory=set)
    sizes: list[fx.Node] = field(default_factory=list)
    like_cut: list[fx.Node] = field(default_factory=list)
    bypassing: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)
    reached: bool = False

    @property
    def front_roots(self) -> list[fx.Node]:
        """Nodes that cross beside the cut tensor."""
        return [*self.sizes, *self.bypassing]


def dependence(traced: TracedNetwork) -> dict[fx.Node, Dependence]:
    """Says for every node whether it depends on the image's data, on its size only, or not at all."""
    found: dict[fx.Node, Dependence] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            found[node] = Dependence.DATA
            continue
        found[node] = max((found[source] for source in node.all_input_nodes), default=Dependence.NONE)
        if found[node] is Dependence.DATA and _asks_size(node, traced.values):
            found[node] = Dependence.SIZE
    return found


def descendants(graph: fx.Graph, start: fx.Node) -> set[fx.Node]:
    """Returns every node computed from `start`, without `start`."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if any(source is start or source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def walk_back(
    traced: TracedNetwork, cut: fx.Node, outputs: Iterable[fx.Node], depends: dict[fx.Node, Dependence]
) -> Walk:
    """Walks back from the outputs, stopping at the cut tensor and at what must be computed before it.

    A cut holds exactly when `bypassing` is empty and `reached` is true.
    """
    walk, after = Walk(), descendants(traced.graph, cut)
    seen: set[fx.Node] = set()
    stack: list[tuple[fx.Node, fx.Node | None]] = [(node, None) for node in outputs]
    while stack:
        node, reader = stack.pop()
        if node is cut:
            walk.reached = True
            continue
        if node in walk.bypassing and reader is not None:
            walk.bypassing[node].append(reader)
        if node in seen:
            continue
        seen.add(node)
        if node not in after and depends[node] is Dependence.DATA:
            walk.bypassing[node] = [] if reader is None else [reader]
        elif node not in after and depends[node] is Dependence.SIZE and _is_like_cut(node, traced, cut):
            walk.like_cut.append(node)
        elif node not in after and depends[node] is Dependence.SIZE and _is_integers(traced.values[node]):
            walk.sizes.append(node)
        else:
            walk.back.add(node)
            stack.extend((source, node) for source in node.all_input_nodes)
    order = {node: index for index, node in enumerate(traced.graph.nodes)}
    walk.sizes.sort(key=order.__getitem__)
    walk.bypassing = {
        node: sorted(set(walk.bypassing[node]), key=order.__getitem__)
        for node in sorted(walk.bypassing, key=order.__getitem__)
    }
    return walk


def size_expression(node: Any) -> str:
    """Writes a size value as the expression it is, for example `image.shape[-2:]`."""
    if isinstance(node, slice):
        parts = ["" if part is None else size_expression(part) for part in (node.start, node.stop)]
        return ":".join(parts if node.step is None else [*parts, size_expression(node.step)])
    if isinstance(node, tuple | list):
        return ", ".join(size_expression(item) for item in node)
    if not isinstance(node, fx.Node):
        return repr(node)
    if is_tap(node):
        return size_expression(node.args[0])
    if node.op == "placeholder":
        return "image"
    if node.op in ("call_module", "get_attr"):
        return display_name(node)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    arguments = [size_expression(item) for item in (*node.args, *node.kwargs.values())]
    if node.op == "call_method":
        return f"{arguments[0]}.{name}({', '.join(arguments[1:])})"
    if name == "getattr":
        return f"{arguments[0]}.{node.args[1]}"
    if name == "getitem":
        return f"{arguments[0]}[{arguments[1]}]"
    return f"{name}({', '.join(arguments)})"


def starts_with_batch(node: fx.Node, values: dict[fx.Node, Value]) -> bool:
    """Says whether a size value is, or starts with, the size of the batch."""
    if is_tap(node) and isinstance(node.args[0], fx.Node):
        return starts_with_batch(node.args[0], values)
    if node.target is operator.getitem and isinstance(node.args[0], fx.Node):
        index = node.args[1]
        first = bool(index == 0) or (isinstance(index, slice) and index.start in (None, 0) and index.step in (None, 1))
        return first and starts_with_batch(node.args[0], values)
    if not _asks_size(node, values):
        return False
    if node.target is getattr:
        return bool(node.args[1] == "shape")
    return node.target == "size" and (*node.args[1:], *node.kwargs.values()) in ((), (0,))


def _asks_size(node: fx.Node, values: dict[fx.Node, Value]) -> bool:
    if not (node.args and isinstance(node.args[0], fx.Node) and values[node.args[0]].is_tensor):
        return False
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in SIZE_ATTRIBUTES
    return (node.op == "call_method" and node.target in SIZE_METHODS) or (
        node.op == "call_function" and node.target in SIZE_FUNCTIONS
    )


def _is_like_cut(node: fx.Node, traced: TracedNetwork, cut: fx.Node) -> bool:
    if node.target is getattr and node.args[1] in ("device", "dtype"):
        return bool(traced.values[node].other == getattr(traced.values[cut], str(node.args[1])))
    return starts_with_batch(node, traced.values) and isinstance(traced.values[node].other, int)


def _is_integers(value: Value) -> bool:
    if value.is_tensor:
        return False
    items = value.other if isinstance(value.other, tuple | list) else [value.other]
    return all(isinstance(item, int) for item in items)
