"""Which results may share a table: those of one task, protocol, data set and network."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from .result_file import ResultFile

__all__ = ["METRIC_NAMES", "Group", "group_of", "group_results", "grouped"]

METRIC_NAMES = {"top1": "Top-1", "miou": "mIoU"}

T = TypeVar("T")


class Group(NamedTuple):
    """Results that may share a table: one task, protocol, data set and network."""

    task: str
    protocol: str
    protocol_sha256: str | None
    dataset: str
    network: str
    network_sha256: str | None

    @property
    def title(self) -> str:
        """The network, data set and protocol by name."""
        return f"{self.network} on {self.dataset}, protocol {self.protocol}"

    @property
    def heading(self) -> str:
        """One line that tells this group from every other."""
        digests = [
            f"{what} {digest[:8]}"
            for what, digest in (("network", self.network_sha256), ("protocol", self.protocol_sha256))
            if digest
        ]
        return self.title + (f" ({', '.join(digests)})" if digests else "")


def group_of(result: ResultFile) -> Group:
    """Returns the group that a result belongs to."""
    meta = result.meta
    return Group(meta.task, meta.protocol, meta.protocol_sha256, meta.dataset, meta.network, meta.network_sha256)


def grouped(items: Iterable[tuple[ResultFile, T]]) -> dict[Group, list[T]]:
    """Sorts things into the groups of their results, the groups by name; results without a point are in none."""
    groups: dict[Group, list[T]] = {}
    for result, item in items:
        if not result.points:
            continue
        groups.setdefault(group_of(result), []).append(item)
    return dict(sorted(groups.items(), key=lambda entry: tuple(str(value) for value in entry[0])))


def group_results(results: Iterable[ResultFile]) -> dict[Group, list[ResultFile]]:
    """Sorts results into groups that may share a table."""
    return grouped((result, result) for result in results)
