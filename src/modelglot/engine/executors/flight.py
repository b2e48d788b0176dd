"""The loop that executors share: hand out, wait, hand on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from modelglot.engine.executors.interface import Done, Results, Size, nothing

T = TypeVar("T")
R = TypeVar("R")
_PATIENCE = 3.0  # times as long as others of its size took, and an item is begun once more
_LEAST_WAIT = 5.0  # seconds that no item is late in


@dataclass(eq=False, slots=True)
class _Flight:
    """An item under way. ``left``: copies of it that have not ended."""

    item: Any
    weight: int
    began: float = field(default_factory=time.monotonic)
    left: int = 1
    landed: bool = False


def fly(
    submit: Callable[[T], Future[R]],
    queue: deque[T],
    most: Callable[[], int],
    size: Size[T] = nothing,
    most_bytes: int | None = None,
    *,
    again: bool = False,
    ready: SimpleQueue[Future[Any]] | None = None,
) -> Results:
    """At most ``most`` items and ``most_bytes`` bytes under way; one item that is larger by itself goes alone.

    Where the pool breaks, what is under way comes back as errors and the rest stays in ``queue``. ``again``: at the
    end, when places are free, an item that is late is begun a second time, and the first of the two that lands counts.
    ``ready`` is where futures that are done wait for this loop.
    """
    loop = _Loop(submit, ready or SimpleQueue(), most_bytes)
    try:
        while loop.under_way or (queue and not loop.broken):
            loop.start(queue, most(), size)
            patience = loop.begin_late(most()) if again and not queue else None
            yield from loop.land(patience)
    finally:
        wait([future for future in loop.flying if not future.cancel()])


class _Loop:
    def __init__(
        self, submit: Callable[[Any], Future[Any]], ready: SimpleQueue[Future[Any]], most_bytes: int | None
    ) -> None:
        self.submit, self.ready, self.most_bytes = submit, ready, most_bytes
        self.flying: dict[Future[Any], _Flight] = {}
        self.under_way = self.load = 0
        self.broken = False
        self._seconds = self._weights = 0.0  # of what landed

    def start(self, queue: deque[Any], most: int, size: Callable[[Any], int]) -> None:
        while queue and self.under_way < most and not self.broken:
            weight = size(queue[0])
            if self.under_way and self.most_bytes is not None and self.load + weight > self.most_bytes:
                return
            if self._submit(_Flight(queue[0], weight)):
                queue.popleft()
                self.under_way += 1
                self.load += weight

    def _submit(self, flight: _Flight) -> bool:
        try:
            future = self.submit(flight.item)
        except BrokenExecutor:
            self.broken = True
            return False
        self.flying[future] = flight
        future.add_done_callback(self.ready.put)
        return True

    def begin_late(self, most: int) -> float | None:
        """Begin what is late once more; the seconds after which to look again, None where nothing could be late."""
        free = most - len(self.flying)
        once = [f for f in self.flying.values() if f.left == 1 and not f.landed]
        if free <= 0 or not once or not self._weights:
            return None
        now = time.monotonic()
        lateness = {f: f.began + self._patience(f.weight) - now for f in once}
        for flight in sorted(once, key=lambda f: lateness[f])[:free]:
            if lateness[flight] <= 0 and self._submit(flight):
                flight.left += 1
                del lateness[flight]
        return max(0.1, min(lateness.values())) if lateness else None

    def _patience(self, weight: int) -> float:
        return max(_LEAST_WAIT, _PATIENCE * self._seconds / self._weights * (weight + 1))

    def land(self, patience: float | None) -> Generator[Done, None, None]:
        """What is done by now; waits for one, ``patience`` seconds at most."""
        with suppress(Empty):
            future = self.ready.get(timeout=patience)
            while True:
                yield from self._landed(future)
                future = self.ready.get_nowait()

    def _landed(self, future: Future[Any]) -> Generator[Done, None, None]:
        flight = self.flying.pop(future)
        flight.left -= 1
        error = future.exception()
        if flight.landed or (error is not None and flight.left):
            return  # the other copy of it counts
        if error is not None and not isinstance(error, Exception):
            raise error
        flight.landed = True
        self.under_way -= 1
        self.load -= flight.weight
        self._seconds += time.monotonic() - flight.began
        self._weights += flight.weight + 1
        yield Done(flight.item, None if error else future.result(), error)
