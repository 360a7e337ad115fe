"""Early stopping: which candidates of a bank are clearly beaten by another one of it."""

from collections.abc import Mapping
from typing import Protocol

from .space import EarlyStopping

__all__ = ["clearly_beaten", "epochs_before_look"]


class _Measured(Protocol):
    @property
    def accuracy(self) -> float: ...

    @property
    def bpp(self) -> float: ...


def clearly_beaten(measured: Mapping[str, _Measured], rule: EarlyStopping) -> set[str]:
    """Returns the candidates that another one beats: no worse in both measures, and by a margin better in one."""
    return {
        name
        for name, own in measured.items()
        if any(_beats(other, own, rule) for rival, other in measured.items() if rival != name)
    }


def _beats(other: _Measured, own: _Measured, rule: EarlyStopping) -> bool:
    if other.accuracy < own.accuracy or other.bpp > own.bpp:
        return False
    return other.accuracy - own.accuracy >= rule.accuracy or other.bpp <= own.bpp * (1 - rule.rate)


def epochs_before_look(epochs: int, rule: EarlyStopping | None) -> int | None:
    """Returns after how many of the epochs candidates are looked at; None where they are not."""
    if rule is None or epochs < 2:
        return None
    return min(epochs - 1, max(1, round(epochs * rule.after)))
