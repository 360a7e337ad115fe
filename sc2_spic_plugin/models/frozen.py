"""Freezing a network so that no host can change a bit of it: no parameters, nothing saved, always in eval mode."""

from typing import Any

from torch import Tensor, nn

__all__ = ["EvalLock", "freeze_network", "frozen_state"]


class EvalLock:
    """Takes the place of one module's `train` method and keeps the module in eval mode; copies and pickles with it."""

    def __init__(self, module: nn.Module) -> None:
        """Locks `module`."""
        self.module = module

    def __call__(self, mode: bool = True) -> nn.Module:
        """Stays in eval mode whatever is asked, and returns the module as `train` does."""
        return nn.Module.train(self.module, False)


class CurrentLoad:
    """Takes the place of one module's loading: older layers would ask a checkpoint for tensors that it has no more."""

    def __init__(self, module: nn.Module) -> None:
        """Serves `module`."""
        self.module = module

    def __call__(self, state: dict[str, Any], prefix: str, metadata: dict[str, Any], *rest: Any) -> None:
        """Loads as the module would from a checkpoint of its own version."""
        current = {**metadata, "version": self.module._version}
        type(self.module)._load_from_state_dict(self.module, state, prefix, current, *rest)


def freeze_network(module: nn.Module) -> None:
    """Freezes a network in place, for good.

    Every parameter becomes a plain buffer of the same name and value. Setting `requires_grad` on all parameters,
    building an optimiser or calling `train()` then cannot change it, while gradients still pass through its
    activations. No buffer is saved with its owner: the owner's state dict holds nothing of the network.
    `frozen_state` still names everything. Freezing twice changes nothing.

    Args:
        module: any network, or a half of a cut network.
    """
    plain: dict[int, Tensor] = {}
    for part in module.modules():
        if isinstance(part.__dict__.get("train"), EvalLock):
            continue
        parameters = {name: value for name, value in part._parameters.items() if value is not None}
        part._frozen_names = tuple(_names(part))  # type: ignore[assignment]
        for name, parameter in parameters.items():
            del part._parameters[name]
            part.register_buffer(name, plain.setdefault(id(parameter), parameter.detach()), persistent=False)
        part._non_persistent_buffers_set.update(part._buffers)
        part.train = EvalLock(part)  # type: ignore[method-assign, assignment]
        part._load_from_state_dict = CurrentLoad(part)  # type: ignore[method-assign, assignment]
    module.eval()


def frozen_state(module: nn.Module) -> dict[str, Tensor]:
    """Returns the network's own state, name -> tensor: what `state_dict()` held before freezing, also after it.

    Args:
        module: a network or half, frozen or not; tensors are not copied.
    """
    state: dict[str, Tensor] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for name in _names(part):
            state[f"{path}.{name}" if path else name] = getattr(part, name).detach()
    return state


def _names(part: nn.Module) -> list[str]:
    """Names a module's own tensors that belong, or before freezing belonged, to its state dict."""
    parameters = [name for name, value in part._parameters.items() if value is not None]
    buffers = [name for name, value in part._buffers.items() if value is not None]
    saved = [name for name in buffers if name not in part._non_persistent_buffers_set]
    return list(dict.fromkeys((*part.__dict__.get("_frozen_names", ()), *parameters, *saved)))
