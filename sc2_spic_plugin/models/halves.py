"""Building the two halves of a cut network, with the original module and parameter names."""

import copy
import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from .proof import Walk, size_expression, starts_with_batch
from .tracing import TracedNetwork, display_name, is_tap, original_path

__all__ = ["Half", "Tap", "build_halves"]


class Tap(nn.Module):
    """Stands where a container stood: holds its children and hands its output on, so that hooks on it fire."""

    def forward(self, output: Any) -> Any:
        """Returns what the container returned."""
        return output


class Half(fx.GraphModule):
    """One half of a cut network, always in eval mode: that is how it was traced."""

    def train(self, mode: bool = True) -> "Half":
        """Stays in eval mode whatever is asked."""
        super().train(False)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Half":
        """Copies the half; torch's own copy forgets which buffers stay out of the state dict."""
        copied = super().__deepcopy__(memo)
        copied._non_persistent_buffers_set = set(self._non_persistent_buffers_set)
        if "_frozen_names" in self.__dict__:
            copied._frozen_names = self._frozen_names
        return copied.eval()  # type: ignore[return-value]


def build_halves(traced: TracedNetwork, cut: fx.Node, walk: Walk, output: Any) -> tuple[Half, Half, tuple[str, ...]]:
    """Builds the front-end and the back-end.

    Args:
        traced: the traced network, in eval mode.
        cut: the node of the cut tensor.
        walk: what crosses and what is computed after the cut.
        output: the network's output as nodes, without dropped entries.

    Returns:
        The front-end, (B, C, H, W) -> cut tensor or (cut tensor, *crossing); the back-end, (cut tensor, *crossing) ->
        output; and the names of what crosses. Sizes cross as integers, one each.
    """
    front, back = fx.Graph(), fx.Graph()
    inside = _ancestors([cut, *walk.front_roots])
    inside |= _checks(traced.graph, inside, walk.back)
    ends = {node for node in traced.graph.nodes if is_tap(node) and not node.users}
    ends_after = {node for node in ends if _returns_any(node, walk.back | {cut})}
    inside |= {node for node in ends - ends_after if _flat(node.args) <= inside}
    made: dict[fx.Node, Any] = {traced.image: front.placeholder("image")}
    _copy_nodes(traced.graph, front, inside, made)

    features = back.placeholder("features")
    known: dict[fx.Node, Any] = {cut: features}
    sent: dict[str, tuple[Any, Any]] = {}  # name -> (node in the front-end, placeholder in the back-end)

    def send(name: str, value: Any) -> Any:
        if name not in sent:
            sent[name] = (value, back.placeholder(f"crossing_{len(sent)}"))
        return sent[name][1]

    unpacked: dict[fx.Node, list[Any]] = {}
    for node in walk.sizes:
        value, name = traced.values[node].other, size_expression(node)
        if isinstance(value, int):
            known[node] = send(name, made[node])
            continue
        skip = 1 if starts_with_batch(node, traced.values) and value else 0
        items = [
            send(f"{name}[{index}]", front.call_function(operator.getitem, (made[node], index)))
            for index in range(skip, len(value))
        ]
        unpacked[node] = [None, *items] if skip else items
    for node in walk.bypassing:
        known[node] = send(display_name(node), made[node])
    for node, items in unpacked.items():
        value = traced.values[node].other
        full = [_ask(back, features, "batch") if item is None else item for item in items]
        kind = torch.Size if isinstance(value, torch.Size) else type(value) if type(value) in (list, tuple) else tuple
        known[node] = back.call_function(kind, (full,))
    for node in walk.like_cut:
        known[node] = _ask(
            back, features, str(node.args[1]) if node.args[1:2] in (("device",), ("dtype",)) else "batch"
        )
    _copy_nodes(traced.graph, back, walk.back | ends_after, known)

    front.output((made[cut], *(value for value, _ in sent.values())) if sent else made[cut])
    back.output(fx.node.map_arg(output, known.__getitem__))
    return _assemble(traced, front, "FrontEnd"), _assemble(traced, back, "BackEnd"), tuple(sent)


def _ancestors(roots: Iterable[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.all_input_nodes)
    return found


def _checks(graph: fx.Graph, inside: set[fx.Node], back: set[fx.Node]) -> set[fx.Node]:
    """Returns the size checks that can be made in the front-end, with what they need."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "call_function" and node.target is torch._assert:
            needed = _ancestors([node]) - inside
            if not needed & back and all(item.op in ("call_function", "call_method") for item in needed):
                found |= needed
    return found


def _flat(structure: Any) -> set[fx.Node]:
    nodes: set[fx.Node] = set()
    fx.node.map_arg(structure, nodes.add)
    return nodes


def _returns_any(tap: fx.Node, nodes: set[fx.Node]) -> bool:
    """Says whether a container that returned several values returned one of these (all of them, if not a dict)."""
    value = tap.args[0]
    entries = list(value.values()) if isinstance(value, dict) else [value]
    return any(_flat(entry) and _flat(entry) <= nodes for entry in entries)


def _copy_nodes(source: fx.Graph, target: fx.Graph, chosen: set[fx.Node], made: dict[fx.Node, Any]) -> None:
    for node in source.nodes:
        if node not in chosen or node in made:
            continue
        if is_tap(node) and isinstance(node.args[0], dict):  # entries of the other half are left out
            entries = {key: entry for key, entry in node.args[0].items() if _flat(entry) <= made.keys()}
            copied = target.call_module(original_path(node.target), (fx.node.map_arg(entries, made.__getitem__),))
        else:
            copied = target.node_copy(node, made.__getitem__)
            copied.meta.clear()
            if node.op in ("call_module", "get_attr"):
                copied.target = original_path(node.target)
        copied.meta["tap"] = is_tap(node)
        made[node] = copied


def _ask(graph: fx.Graph, features: fx.Node, what: str) -> fx.Node:
    if what == "batch":
        return graph.call_function(operator.getitem, (graph.call_function(getattr, (features, "shape")), 0))
    return graph.call_function(getattr, (features, what))


def _assemble(traced: TracedNetwork, graph: fx.Graph, name: str) -> Half:
    """Makes the module of a graph: copies of the original's leaves that share its tensors, under taps."""
    half = Half(nn.Module(), fx.Graph(), name)
    memo = _shared_tensors(traced.root)
    wanted = {str(node.target): node for node in graph.nodes if node.op in ("call_module", "get_attr")}
    for path in sorted(wanted, key=lambda path: path.count(".")):
        node = wanted[path]
        owner, field = _owner(half, path)
        if node.meta.get("tap"):
            _child(owner, field)
        elif node.op == "call_module":
            if field not in owner._modules:
                owner.add_module(field, copy.deepcopy(traced.network.get_submodule(path), memo))
        elif not hasattr(owner, field):
            _share_tensor(traced, path, owner, field)
    half.graph = graph
    return half.eval()


def _child(owner: nn.Module, field: str) -> nn.Module:
    if field not in owner._modules:
        owner.add_module(field, Tap())
    return owner._modules[field]  # type: ignore[return-value]


def _owner(half: nn.Module, path: str) -> tuple[nn.Module, str]:
    *parents, field = path.split(".")
    for parent in parents:
        half = _child(half, parent)
    return half, field


def _share_tensor(traced: TracedNetwork, path: str, owner: nn.Module, field: str) -> None:
    parent_path, _, own_field = path.rpartition(".")
    parent = traced.network.get_submodule(parent_path)
    if not hasattr(parent, own_field):  # a constant met in tracing lies at the root
        parent = traced.root
    value = getattr(parent, own_field)
    if isinstance(value, nn.Parameter):
        owner.register_parameter(field, value)
    elif isinstance(value, Tensor):
        persistent = own_field in parent._buffers and own_field not in parent._non_persistent_buffers_set
        owner.register_buffer(field, value, persistent=persistent)
        if own_field in getattr(parent, "_frozen_names", ()):  # of a network that was frozen before it was cut
            owner._frozen_names = (*getattr(owner, "_frozen_names", ()), field)  # type: ignore[assignment]
    else:
        setattr(owner, field, value)


def _shared_tensors(root: nn.Module) -> dict[int, Any]:
    """Returns a memo under which copies share every tensor with the original, and own their tables of hooks."""
    memo: dict[int, Any] = {}
    for module in root.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
            if isinstance(tensor, Tensor):
                memo[id(tensor)] = tensor
        for key, table in vars(module).items():
            if key.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")) and isinstance(table, dict):
                memo[id(table)] = copy.copy(table)
    return memo
