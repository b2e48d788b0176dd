"""What runs many pieces of work, wherever that is: threads, processes, a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T], R]
Size = Callable[[T], int]  # bytes that an item reads


def nothing(_: object) -> int:
    """The size of what has none."""
    return 0


class Done(NamedTuple):
    """A piece of work and what became of it: ``value``, or ``error`` where it raised or its process died."""

    item: object
    value: object
    error: Exception | None


Results = Generator[Done, None, None]


class Executor(Protocol):
    """``queue`` is emptied from the left, and may grow while results are taken: the end is an empty queue with nothing
    under way. ``size`` says how many bytes an item reads; an executor may hold items back by that. What is
    ``repeatable`` may run twice, also at once.

    Results come in the order in which they are ready. What ``work`` raises is a result and ends nothing; closing the
    iterator waits for what is under way and starts nothing more. ``elsewhere``: work and items are pickled, and run in
    processes that see nothing of this one; else they are called in this process.
    """

    @property
    def elsewhere(self) -> bool: ...

    def width(self) -> int:
        """Items that run at a time."""
        ...

    def run(
        self, work: Work[T, R], queue: deque[T], size: Size[T] = nothing, *, repeatable: bool = False
    ) -> Results: ...
