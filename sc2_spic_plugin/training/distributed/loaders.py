"""Which images a process sees: its slice of every batch in training, whole batches where nothing is learned."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from torch.utils.data import IterableDataset, Sampler

from ...errors import ConfigError
from ...ops.ranks import from_first, rank, world_size

__all__ = ["own_batches", "share_of_batch", "slices_of_batches"]


def slices_of_batches(loader: Any) -> Any:
    """Returns a loader like the one given that yields this process's slice of each of its batches.

    The batches are those that the first process draws, so that the slices of all processes together are the batch.

    Raises:
        ConfigError: a loader without batches, or of a data set without indices; later, a batch with fewer images than
            there are processes.
    """
    return _with(loader, _Slices)


def own_batches(loader: Any) -> Any:
    """Returns a loader like the one given that yields a contiguous part of its batches, whole, perhaps none.

    Over all processes, in the order of ranks, they are the batches of the loader: none is padded, split or left out.
    """
    return _with(loader, _WholeBatches)


def share_of_batch(loader: Any, step: int) -> float:
    """Returns the share of this process in the images of a batch, by its number from 0; 1 in a single process."""
    return loader.batch_sampler.shares[step] if isinstance(loader.batch_sampler, _Slices) else 1.0


def _with(loader: Any, sampler: type["_RankBatches"]) -> Any:
    if world_size() == 1 or isinstance(loader.batch_sampler, sampler):
        return loader
    if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
        raise ConfigError("only a data set with indices and a batch size can be shared by several processes; run one.")
    shared = copy.copy(loader)
    vars(shared)["batch_sampler"] = sampler(loader.batch_sampler)  # a loader refuses to be given one, for its workers
    return shared


class _RankBatches(Sampler[list[int]]):
    """A process's part of the batches that the first process draws from a batch sampler."""

    def __init__(self, batches: Iterable[list[int]]) -> None:
        self.batches = batches

    def drawn(self) -> list[list[int]]:
        """Returns the batches of a pass."""
        return from_first(lambda: [list(batch) for batch in self.batches])


class _Slices(_RankBatches):
    """A slice of every batch; `shares` says how much of each it is."""

    shares: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        batches, own, ranks = self.drawn(), rank(), world_size()
        if any(len(batch) < ranks for batch in batches):
            raise ConfigError(
                f"a training batch has {min(map(len, batches))} images for {ranks} processes; set `drop_last: True`, "
                "or choose another batch_size or fewer processes."
            )
        slices = [batch[len(batch) * own // ranks : len(batch) * (own + 1) // ranks] for batch in batches]
        self.shares = tuple(len(part) / len(batch) for part, batch in zip(slices, batches, strict=True))
        yield from slices


class _WholeBatches(_RankBatches):
    """The batches from this process's first to the next process's first."""

    def __len__(self) -> int:
        return len(self._own(range(len(self.batches))))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._own(self.drawn())

    def _own(self, batches: Any) -> Any:
        return batches[len(batches) * rank() // world_size() : len(batches) * (rank() + 1) // world_size()]
