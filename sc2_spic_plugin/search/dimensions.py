"""The dimensions of a search space: what a unit may be made of, each a choice or a range, for all cuts or for each."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError, nearest
from ..layers.topologies import TOPOLOGIES
from ..rate_estimators import RATE_ESTIMATORS

__all__ = ["CUT", "DIMENSIONS", "LAYER", "Choices", "Dimension", "Range", "Values", "read_dimension"]

CUT, LAYER = "cut", "distillation_layer"
_WHOLE = ("latent_channels", "stride")
_REAL = ("step", "rate_weight")
_KNOWN = {"topology": tuple(TOPOLOGIES), "rate_estimator": tuple(RATE_ESTIMATORS)}
DIMENSIONS = (CUT, LAYER, *_WHOLE, *_REAL, *_KNOWN)
"""The names of all dimensions, in the order in which they are drawn."""
_RANGE = ("low", "high", "log")
_BY_CUT = "by_cut"


@dataclass(frozen=True)
class Choices:
    """Some values, in no order that the sampler would use."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """Draws one of the values for an Optuna trial."""
        return trial.suggest_categorical(name, list(self.values))

    @property
    def ends(self) -> tuple[Any, ...]:
        """All that must be possible for the whole dimension to be."""
        return self.values


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included; `log`: evenly over their logarithms."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: Any, name: str) -> int | float:
        """Draws a number for an Optuna trial."""
        if self.whole:
            return int(trial.suggest_int(name, int(self.low), int(self.high), log=self.log))
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))

    @property
    def ends(self) -> tuple[float, ...]:
        """The least and the greatest number."""
        return (self.low, self.high)


Values = Choices | Range


@dataclass(frozen=True)
class Dimension:
    """One thing that differs between candidates.

    Attributes:
        name: one of `DIMENSIONS`.
        values: the same at every cut; None where `by_cut` says them.
        by_cut: the values at each cut.
    """

    name: str
    values: Values | None = None
    by_cut: Mapping[str, Values] = field(default_factory=dict)

    def at(self, cut: str) -> Values:
        """Returns the values at a cut."""
        return self.by_cut[cut] if self.values is None else self.values

    def parameter(self, cut: str) -> str:
        """Returns the name of the Optuna parameter: values that depend on the cut are parameters of their own."""
        return f"{self.name}@{cut}" if self.values is None else self.name


def read_dimension(name: str, content: Any, cuts: Sequence[str]) -> Dimension:
    """Reads one dimension of a search space.

        latent_channels: [32, 64, 96]                   # these
        step: {low: 0.5, high: 10.0, log: true}         # all between
        topology: separable                             # this alone
        stride: {by_cut: {layer3.4: [2, 4], layer4.0: [1, 2]}}

    Args:
        name: one of `DIMENSIONS`.
        content: what the file says.
        cuts: the cuts of the space.

    Raises:
        ConfigError: values that no unit can have, or a cut that the space does not have.
    """
    if not (isinstance(content, Mapping) and _BY_CUT in content):
        return Dimension(name, _values(name, content, name))
    if name == CUT or len(content) > 1 or not isinstance(content[_BY_CUT], Mapping):
        raise ConfigError(f"`{name}`: `{_BY_CUT}` stands alone and maps each cut to the values there.")
    by_cut = {str(cut): values for cut, values in content[_BY_CUT].items()}
    for cut in by_cut:
        if cut not in cuts:
            raise ConfigError(f"`{name}` names a cut `{cut}` that is none of the space's. {nearest(cut, cuts)}")
    missing = [cut for cut in cuts if cut not in by_cut]
    if missing:
        raise ConfigError(f"`{name}` says nothing about {', '.join(f'`{cut}`' for cut in missing)}; give its values.")
    return Dimension(name, by_cut={cut: _values(name, by_cut[cut], f"{name}, at {cut}") for cut in cuts})


def _values(name: str, content: Any, where: str) -> Values:
    if isinstance(content, Mapping):
        return _range(name, content, where)
    values = content if isinstance(content, list) else [content]
    if not values or len(set(map(str, values))) != len(values):
        raise ConfigError(f"`{where}` must be one or more different values, got {content!r}.")
    problem = next(_problems(name, values), None)
    if problem is not None:
        raise ConfigError(f"`{where}`: {problem}")
    return Choices(tuple(float(value) if name in _REAL else value for value in values))


def _range(name: str, content: Mapping[str, Any], where: str) -> Range:
    if name not in (*_WHOLE, *_REAL):
        raise ConfigError(f"`{where}` is no number, so it has no range; give a list of values.")
    for key in content:
        if key not in _RANGE:
            raise ConfigError(f"unknown key `{key}` for `{where}`. {nearest(str(key), (*_RANGE, _BY_CUT))}")
    if "low" not in content or "high" not in content or not isinstance(content.get("log", False), bool):
        raise ConfigError(f"`{where}` needs `low` and `high`, and may have `log: true`.")
    low, high = content["low"], content["high"]
    problem = next(_problems(name, [low, high]), None)
    if problem is not None or not low < high:
        raise ConfigError(f"`{where}`: {problem or f'low {low} is not below high {high}.'}")
    return Range(low, high, content.get("log", False), name in _WHOLE)


def _problems(name: str, values: Sequence[Any]) -> Iterator[str]:
    known = _KNOWN.get(name)
    checks: list[tuple[Callable[[Any], bool], str]] = [
        (lambda value: name not in _WHOLE or (_is_number(value, int) and value >= 1), "a whole number of 1 or more"),
        (lambda value: name not in _REAL or (_is_number(value, int | float) and value > 0), "a positive number"),
        (lambda value: name in (*_WHOLE, *_REAL) or isinstance(value, str), "a name"),
    ]
    for value in values:
        yield from (f"{value!r} is not {kind}." for fits, kind in checks if not fits(value))
        if known is not None and value not in known:
            yield f"there is no {name} `{value}`. {nearest(str(value), known)}"


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
