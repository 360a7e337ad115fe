"""Tracing a network in eval mode: its graph, what every module call returned, and what every value is."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..errors import CutError

__all__ = ["TracedNetwork", "Value", "display_name", "eval_mode", "is_tap", "original_path", "trace_network"]

PREFIX = "network."


@dataclass(frozen=True)
class Value:
    """What a node produced for the example input: a tensor's shape, type and device, or any other value itself."""

    shape: tuple[int, ...] | None
    dtype: torch.dtype | None
    device: torch.device | None
    other: Any

    @property
    def is_tensor(self) -> bool:
        """Whether the value is one tensor."""
        return self.shape is not None


@dataclass(frozen=True)
class TracedNetwork:
    """The graph of a network and what is known about it.

    Attributes:
        network: the network itself, untouched.
        root: the module the graph's targets are found in (`network.<path>`, and constants met in tracing).
        graph: all operations; containers appear as taps, identity nodes on what the container returned.
        image: the node of the input image.
        calls: for every module path, what each of its calls returned (nodes, maybe nested in tuples or dicts).
        values: what each node produced for the example input.
        output: the network's output for the example input.
    """

    network: nn.Module
    root: nn.Module
    graph: fx.Graph
    image: fx.Node
    calls: dict[str, list[Any]]
    values: dict[fx.Node, Value]
    output: Any


class Whole(nn.Module):
    """Holds the network and calls it with the image alone, so that other arguments keep their defaults."""

    def __init__(self, network: nn.Module) -> None:
        """Holds `network` under the name `network`."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Any:
        """Returns the network's output for images (B, C, H, W)."""
        return self.network(image)


class OwnTensorProxy(fx.Proxy):
    """A parameter or buffer of the network: its values are traced, its shape is known."""

    def __init__(self, node: fx.Node, tracer: fx.Tracer, tensor: Tensor) -> None:
        """Stands for `tensor` at `node`."""
        super().__init__(node, tracer)
        self.shape, self.ndim = tensor.shape, tensor.ndim
        self.dim, self.numel, self.size = tensor.dim, tensor.numel, tensor.size


class CallTracer(fx.Tracer):
    """Traces through containers, notes what every module call returned and taps every container's output."""

    def __init__(self) -> None:
        """Treats as one piece what torchvision and timm ask for, where they are in use."""
        timm_layers, ops = sys.modules.get("timm.layers"), sys.modules.get("torchvision.ops")
        functions = timm_layers.get_notrace_functions() if timm_layers else []
        super().__init__(
            autowrap_modules=(math, *([ops] if ops else [])),  # type: ignore[arg-type, unused-ignore]  # torch < 2.15 says one
            autowrap_functions=tuple(function for function in functions if callable(function)),
        )
        self.own_tensors: dict[int, str] = {}
        self.pieces = tuple(timm_layers.get_notrace_modules()) if timm_layers else ()
        self.calls: dict[str, list[Any]] = {}
        self.stack: list[str] = []

    def trace(self, root: nn.Module, concrete_args: dict[str, Any] | None = None) -> fx.Graph:  # type: ignore[override]
        """Traces `root`, whose parameters and buffers become `get_attr` nodes wherever they are read."""
        tensors = (*reversed(list(root.named_buffers())), *reversed(list(root.named_parameters())))
        self.own_tensors = {id(tensor): name for name, tensor in tensors}
        return super().trace(root, concrete_args)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        """Returns a proxy for a parameter or buffer, and anything else as it is."""
        name = self.own_tensors.get(id(attr_val)) if isinstance(attr_val, Tensor) else None
        if name is None:
            return attr_val
        if name not in parameter_proxy_cache:
            proxy = self.create_proxy(
                "get_attr", name, (), {}, proxy_factory_fn=lambda node: OwnTensorProxy(node, self, attr_val)
            )
            parameter_proxy_cache[name] = proxy
        return parameter_proxy_cache[name]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Says whether a module is one node of the graph."""
        return isinstance(m, self.pieces) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Traces one module call; `stack` is left as it is where tracing fails, to say where."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            returned = self.create_proxy("call_module", path, args, kwargs)
        else:
            self.stack.append(original_path(path))
            returned = self._tap(path, m.forward(*args, **kwargs)) if path != "network" else m.forward(*args, **kwargs)
            self.stack.pop()
        self.calls.setdefault(original_path(path), []).append(_nodes_of(returned))
        return returned

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Notes the module that each operation belongs to."""
        node = super().create_node(*args, **kwargs)
        node.meta["owner"] = self.stack[-1] if self.stack else ""
        return node

    def _tap(self, path: str, returned: Any) -> Any:
        if not any(isinstance(item, fx.Proxy) for item in tree_flatten(returned)[0]):
            return returned
        tap = self.create_proxy("call_module", path, (returned,), {})
        tap.node.meta["tap"] = True
        return tap if isinstance(returned, fx.Proxy) else returned


class ExampleRun(fx.Interpreter):
    """Runs the graph on an example, notes each value, and which nodes write into an argument and return it."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        """Runs `graph`, whose targets are found in `root`."""
        super().__init__(root, graph=graph)
        self.values: dict[fx.Node, Value] = {}
        self.written: list[tuple[fx.Node, fx.Node]] = []

    def run_node(self, n: fx.Node) -> Any:
        """Runs one node; a tap returns its argument."""
        arguments = [(node, self.env[node]) for node in n.all_input_nodes]
        before = [(node, value, value._version) for node, value in arguments if isinstance(value, Tensor)]
        result = fx.node.map_arg(n.args[0], lambda node: self.env[node]) if is_tap(n) else super().run_node(n)
        if isinstance(result, Tensor):
            self.values[n] = Value(tuple(result.shape), result.dtype, result.device, None)
            self.written += [(n, node) for node, value, old in before if value is result and value._version != old]
        else:
            self.values[n] = Value(None, None, None, result)
        return result


def trace_network(network: nn.Module, example_input: Tensor) -> TracedNetwork:
    """Traces a network in eval mode and runs its graph once on an example.

    Args:
        network: any torch.fx-traceable network of one image batch; it is left as it was.
        example_input: a batch of images (B, C, H, W) that the network takes.

    Raises:
        CutError: the network cannot be traced, or does not take the example; the message gives the reason.
    """
    root, tracer = Whole(network), CallTracer()
    with eval_mode(network), torch.no_grad():
        try:
            output = network(example_input)
        except Exception as error:
            raise CutError(
                f"{type(network).__name__} does not take the example input of shape {tuple(example_input.shape)}: "
                f"{_reason(error)}. Give an example input of the size the network is made for."
            ) from error
        try:
            graph = tracer.trace(root)
            run = ExampleRun(root, graph)
            run.run(example_input)
        except Exception as error:
            place = f" (in `{tracer.stack[-1]}`)" if tracer.stack and tracer.stack[-1] else ""
            raise CutError(
                f"{type(network).__name__} cannot be traced by torch.fx{place}: {_reason(error)}. Control flow that "
                "depends on the data, and code that needs real tensors, must be taken out of the forward pass or "
                "wrapped with torch.fx.wrap."
            ) from error
    order = {node: index for index, node in enumerate(graph.nodes)}
    for writer, written in run.written:  # the same tensor: later readers read what was written
        for reader in [user for user in written.users if order[user] > order[writer]]:
            reader.replace_input_with(written, writer)
    _label_nodes(graph, tracer.calls)
    image = next(node for node in graph.nodes if node.op == "placeholder")
    return TracedNetwork(network, root, graph, image, tracer.calls, run.values, output)


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Puts every module of a network in eval mode for a while, then gives each its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def is_tap(node: fx.Node) -> bool:
    """Says whether a node is a container's output handed on unchanged."""
    return bool(node.meta.get("tap"))


def original_path(target: object) -> str:
    """Returns a module's or parameter's path in the network itself."""
    return "" if target == "network" else str(target).removeprefix(PREFIX)


def display_name(node: fx.Node) -> str:
    """Names a node by module path, an operation as `<path of its module>.<operation>`; taps by what they hand on."""
    while is_tap(node) and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    return str(node.meta["label"])


def _nodes_of(returned: Any) -> Any:
    leaves, structure = tree_flatten(returned)
    return tree_unflatten([leaf.node if isinstance(leaf, fx.Proxy) else leaf for leaf in leaves], structure)


def _label_nodes(graph: fx.Graph, calls: dict[str, list[Any]]) -> None:
    """Gives every node a name of its own: `#k` counts the calls of a module, `_k` equal operations of one module."""
    counts: dict[str, int] = {}
    for node in graph.nodes:
        owner = node.meta.get("owner", "")
        if node.op == "placeholder":
            label = "the input image"
        elif node.op in ("call_module", "get_attr"):
            label = original_path(node.target)
        else:
            name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
            label = f"{owner}.{name}" if owner else name
        count = counts.get(label, 0)
        if not is_tap(node):
            counts[label] = count + 1
        if node.op == "call_module":
            label = f"{label}#{count}" if len(calls.get(label, ())) > 1 else label
        elif node.op != "get_attr" and count:
            label = f"{label}_{count}"
        node.meta["label"] = label


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
