"""A curve somebody else published: drawn as published, never put into a table of measured points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import DataError

__all__ = ["PublishedCurve"]


@dataclass(frozen=True)
class PublishedCurve:
    """Rate and accuracy read off a paper's figure or table.

    Plots draw it dashed with hollow markers, in the colour of `method` where that is given, and label it
    "as published". It enters no Pareto front, no delta and no ratio: nobody here measured it.

    Attributes:
        name: what the legend calls it, for example `SPIC S1`.
        source: where the numbers come from (paper, figure), shown on hover and in the report.
        bpp: bits per image pixel, all above zero.
        accuracy: percent, one per rate.
        bypassed: whether data reach the output past the cut, uncounted.
        method: key of `styles.METHOD_STYLES` whose colour and marker it takes; None for those of the name.
    """

    name: str
    source: str
    bpp: Sequence[float]
    accuracy: Sequence[float]
    bypassed: bool = False
    method: str | None = None

    def __post_init__(self) -> None:
        """Checks the values and sorts the points by rate.

        Raises:
            DataError: no name or source, lists of different lengths, or a value that cannot be.
        """
        if not self.name or not self.source:
            raise DataError("A published curve needs a name and a source.")
        if not self.bpp or len(self.bpp) != len(self.accuracy):
            raise DataError(
                f"Published curve `{self.name}`: {len(self.bpp)} rates and {len(self.accuracy)} accuracies."
            )
        pairs = sorted((float(rate), float(value)) for rate, value in zip(self.bpp, self.accuracy, strict=True))
        for rate, value in pairs:
            if not (math.isfinite(rate) and rate > 0 and 0 <= value <= 100):
                raise DataError(f"Published curve `{self.name}`: {rate} bpp at {value} % is no point.")
        object.__setattr__(self, "bpp", tuple(rate for rate, _ in pairs))
        object.__setattr__(self, "accuracy", tuple(value for _, value in pairs))

    @property
    def label(self) -> str:
        """What a legend says: the name, with what sets the curve apart."""
        return f"{self.name} ({'bypassed, ' if self.bypassed else ''}as published)"
