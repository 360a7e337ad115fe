"""One candidate of a search: its values, its place in a bank, and how a config describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .dimensions import CUT, LAYER

__all__ = ["Candidate", "Group", "grouped"]

_UNIT = ("latent_channels", "stride", "step", "topology", "rate_weight")


class Group(NamedTuple):
    """What candidates of one bank share: the cut, and the layer they distil from (None: as the base config says)."""

    cut: str
    layer: str | None


@dataclass(frozen=True)
class Candidate:
    """A point of the search space that is to be trained, or was.

    Attributes:
        number: of its trial in the study.
        values: by dimension.
    """

    number: int
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of its unit, in every bank."""
        return f"t{self.number}"

    @property
    def group(self) -> Group:
        """What it shares with the others of its bank."""
        return Group(self.values[CUT], self.values.get(LAYER))

    def unit(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the entry of `units` that describes it; what it does not say is as in the base config.

        Args:
            model: the arguments of the base config's model.
        """
        unit = {**(model.get("unit") or {}), **{key: self.values[key] for key in _UNIT if key in self.values}}
        estimator = self.values.get("rate_estimator")
        if estimator is not None:
            shared = model.get("rate_estimator") or {}
            unit["rate_estimator"] = dict(shared) if shared.get("key") == estimator else {"key": estimator}
        return unit


def grouped(candidates: Sequence[Candidate]) -> dict[Group, list[Candidate]]:
    """Returns candidates by what they share; each entry makes a bank."""
    groups: dict[Group, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.group, []).append(candidate)
    return groups
