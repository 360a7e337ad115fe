"""What a config says about each unit of a bank: how it is built, what its rate weighs, what estimates it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..models.arguments import check_keys

__all__ = ["UnitPlan", "read_bank"]

_DEFAULT = {"key": "static_table"}
_OWN = ("rate_weight", "rate_estimator")


@dataclass(frozen=True)
class UnitPlan:
    """One unit of a bank.

    Attributes:
        unit: keyword arguments of `BottleneckUnit` without `in_channels`.
        rate_weight: what the rate is multiplied by in the loss, beside the weight that all units share.
        rate_estimator: `key` and `kwargs`.
    """

    unit: Mapping[str, Any]
    rate_weight: float = 1.0
    rate_estimator: Mapping[str, Any] = field(default_factory=lambda: dict(_DEFAULT))


def read_bank(
    unit: Mapping[str, Any] | None,
    unit_name: str,
    units: Mapping[str, Mapping[str, Any]] | None,
    rate_estimator: Mapping[str, Any] | None,
) -> dict[str, UnitPlan]:
    """Returns the units of a model by name; the arguments are those of `SpicModel`.

    Raises:
        ConfigError: neither `unit` nor `units`, or both; a rate weight that is no positive number; an estimator
            without a key.
    """
    if (unit is None) == (units is None):
        raise ConfigError("a SPIC model needs `unit`, or `units` for a bank, and not both.")
    if units is not None and (not isinstance(units, Mapping) or not units):
        raise ConfigError(f"`units` must be a mapping of names to units, got {units!r}.")
    shared = _estimator(rate_estimator or _DEFAULT, "`rate_estimator`")
    bank = {}
    for name, plan in ({unit_name: unit} if units is None else units).items():
        if not isinstance(plan, Mapping):
            raise ConfigError(f"unit `{name}` must be a mapping with `latent_channels`, got {plan!r}.")
        weight = plan.get("rate_weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise ConfigError(f"`rate_weight` of unit `{name}` is {weight!r}; give a positive number.")
        own = plan.get("rate_estimator")
        bank[str(name)] = UnitPlan(
            {key: value for key, value in plan.items() if key not in _OWN},
            float(weight),
            shared if own is None else _estimator(own, f"`rate_estimator` of unit `{name}`"),
        )
    return bank


def _estimator(plan: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    check_keys(plan, ("key", "kwargs"), where)
    if "key" not in plan:
        raise ConfigError(f"{where} needs a `key`, for example 'static_table'.")
    return plan
