"""What one forward pass spends (time, operations), by where it is spent: device or server, network or coding."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch import nn

__all__ = ["CODING", "DEVICE", "NETWORK", "PLACES", "SERVER", "Move", "Spending", "Switch", "spending"]

DEVICE, SERVER = "device", "server"
NETWORK, CODING = "network", "coding"
PLACES = tuple((side, work) for side in (DEVICE, SERVER) for work in (NETWORK, CODING))


class Move(NamedTuple):
    """Where a pass goes on; None: where it is."""

    side: str | None = None
    work: str | None = None


class Switch(NamedTuple):
    """A call at which a pass moves on.

    Attributes:
        owner: object, class or Python module that holds the callable.
        attribute: its name there.
        before: the move when the call begins.
        after: the move when it has ended.
    """

    owner: Any
    attribute: str
    before: Move = Move()
    after: Move = Move()


class Spending:
    """Shares what a clock shows among the places that a pass goes through; a pass begins in the network.

    Args:
        clock: seconds, operations: anything that only grows.
        side: where the pass begins.

    Attributes:
        spent: what was spent, by (side, work).
    """

    def __init__(self, clock: Callable[[], float], side: str) -> None:
        self.clock, self.side, self.work = clock, side, NETWORK
        self.spent: dict[tuple[str, str], float] = dict.fromkeys(PLACES, 0.0)
        self.since = clock()

    def move(self, move: Move) -> None:
        """Books what was spent since the last move and goes on elsewhere."""
        self.spent[self.side, self.work] += self.clock() - self.since
        self.side, self.work = move.side or self.side, move.work or self.work
        self.since = self.clock()


@contextlib.contextmanager
def spending(switches: Sequence[Switch], side: str, clock: Callable[[], float]) -> Iterator[Spending]:
    """Follows the pass that is made inside; the calls that it watches are as they were afterwards.

    Args:
        switches: the calls at which the pass moves on.
        side: where it begins.
        clock: read at each move.
    """
    with contextlib.ExitStack() as stack:
        books: list[Spending] = []
        for switch in switches:
            stack.enter_context(_watched(switch, books))
        books.append(Spending(clock, side))
        yield books[0]
        books[0].move(Move())


@contextlib.contextmanager
def _watched(switch: Switch, books: list[Spending]) -> Iterator[None]:
    owner, attribute = switch.owner, switch.attribute
    if isinstance(getattr(owner, attribute), nn.Module):  # a module can only be replaced by another
        owner, attribute = getattr(owner, attribute), "forward"
    original, own = getattr(owner, attribute), attribute in vars(owner)

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        books[0].move(switch.before)
        result = original(*args, **kwargs)
        books[0].move(switch.after)
        return result

    setattr(owner, attribute, watched)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, original)
        else:
            delattr(owner, attribute)
