"""A published figure: its curves, and over which results they may be drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import ConfigError
from ..protocol import load_protocol
from ..results import Group
from .curve import PublishedCurve

__all__ = ["DrawnCurve", "PublishedFigure", "curves_by_group"]


@dataclass(frozen=True)
class DrawnCurve:
    """A curve of a figure.

    Attributes:
        curve: what was read off.
        split: the released units it is said to be of: `S1`, `S2`, `S3`, `US1` or `US2`; None for other methods.
        markers: markers that the figure shows, readable or not; None: not counted.
    """

    curve: PublishedCurve
    split: str | None = None
    markers: int | None = None


@dataclass(frozen=True)
class PublishedFigure:
    """Curves from one source, all for one protocol and network.

    Attributes:
        name: of its file.
        source: paper and figure.
        reading: how the numbers were read off, and how well.
        task: `classification` or `segmentation`.
        protocol: name of the shipped protocol that the figure's images were prepared by.
        datasets: what results on its data set call it.
        networks: what results of its network call it.
        original: accuracy of the original network as drawn, percent; None where it is not.
        curves: what was read off.
    """

    name: str
    source: str
    reading: str
    task: str
    protocol: str
    datasets: tuple[str, ...]
    networks: tuple[str, ...]
    original: float | None
    curves: tuple[DrawnCurve, ...]

    @property
    def pixels(self) -> int:
        """Image pixels that its bits are divided by.

        Raises:
            ConfigError: its protocol has no number of pixels for all images.
        """
        pixels = load_protocol(self.protocol).pixels
        if pixels is None:
            raise ConfigError(f"`{self.name}`: protocol {self.protocol} divides bits by each image's own pixels.")
        return pixels

    def why_not_over(self, group: Group) -> str | None:
        """Returns why the curves may not be drawn over a group of results; None if they may."""
        if (group.task, group.protocol) != (self.task, self.protocol):
            return f"protocol {group.protocol}, not {self.protocol}"
        if group.protocol_sha256 not in (None, load_protocol(self.protocol).sha256):
            return f"protocol {group.protocol} with other values than the shipped one"
        if group.network not in self.networks:
            return f"network {group.network}, not {' or '.join(self.networks)}"
        if group.dataset not in self.datasets:
            return f"data set {group.dataset}, not {' or '.join(self.datasets)}"
        return None


def curves_by_group(
    figures: Sequence[PublishedFigure], groups: Iterable[Group]
) -> Mapping[Group, Sequence[PublishedCurve]]:
    """Returns the curves that may be drawn over each group of results.

    Args:
        figures: those that were asked for; every one must belong to some group.
        groups: of the results that are drawn.

    Raises:
        ConfigError: a figure that belongs to none; the message says why for each group.
    """
    groups = list(groups)
    for figure in figures:
        reasons = [figure.why_not_over(group) for group in groups]
        if None not in reasons:
            listed = "; ".join(dict.fromkeys(str(reason) for reason in reasons))
            raise ConfigError(
                f"the curves of `{figure.name}` belong to protocol {figure.protocol}, {' or '.join(figure.datasets)}, "
                f"{' or '.join(figure.networks)}, and no result does: {listed}. Leave them out, or measure under "
                "that protocol."
            )
    found = {
        group: [drawn.curve for figure in figures if figure.why_not_over(group) is None for drawn in figure.curves]
        for group in groups
    }
    return {group: curves for group, curves in found.items() if curves}
