"""What every worker of a search must know, wherever it runs; plain data that any process can be handed."""

import os
from dataclasses import dataclass
from pathlib import Path

from .space import SearchSpace

__all__ = ["SearchJob"]


@dataclass(frozen=True)
class SearchJob:
    """A search.

    Attributes:
        space: what is searched.
        out: folder for stores, weights and results; workers on several machines share it.
        storage: URL of the study's database; None: SQLite in `out`.
        device: torch device string.
        precision: `fp32`, or `bf16` for training under autocast.
        seed: of all random generators; every candidate is trained with it.
        workers: how many of them this machine runs; its threads are divided among them.
        beat: seconds between two signs of life; a worker that gave none for four times as long is taken for lost.
    """

    space: SearchSpace
    out: Path
    storage: str | None = None
    device: str = "cpu"
    precision: str = "fp32"
    seed: int = 0
    workers: int = 1
    beat: int = 15

    @property
    def url(self) -> str:
        """Where the study is kept."""
        return self.storage or f"sqlite:///{self.out.resolve() / 'study.db'}"

    @property
    def is_local(self) -> bool:
        """Whether the study is a file of this machine."""
        return self.url.startswith("sqlite")

    @property
    def threads(self) -> int | None:
        """CPU threads of each worker; None: the library's own choice."""
        return None if self.workers == 1 else max(1, (os.cpu_count() or 1) // self.workers)

    def store(self, cut: str) -> Path:
        """The folder of a cut's feature store."""
        return self.out / "stores" / cut.replace("#", "_call")

    @property
    def banks(self) -> Path:
        """The folder of what banks need while they are trained."""
        return self.out / "banks"

    def weights(self, name: str) -> Path:
        """The file of a candidate's weights: the checkpoint of a bank that has it alone."""
        return self.out / "candidates" / f"{name}.pt"
