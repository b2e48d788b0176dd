"""The loop that executors of this machine share: hand out, wait, hand on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import TypeVar

from modelglot.engine.executors.interface import Done, Results

T = TypeVar("T")
R = TypeVar("R")


def fly(
    submit: Callable[[T], Future[R]],
    queue: deque[T],
    most: int,
    size: Callable[[T], int] = lambda _: 0,
    most_bytes: int | None = None,
) -> Results:
    """At most ``most`` items and ``most_bytes`` bytes under way; one item that is larger by itself goes alone.

    Where the pool breaks, what is under way comes back as errors and the rest stays in ``queue``.
    """
    flying: dict[Future[R], tuple[T, int]] = {}
    load, broken = 0, False
    try:
        while flying or (queue and not broken):
            while queue and len(flying) < most and not broken:
                weight = size(queue[0])
                if flying and most_bytes is not None and load + weight > most_bytes:
                    break
                try:
                    flying[submit(queue[0])] = queue[0], weight
                except BrokenExecutor:
                    broken = True
                    break
                queue.popleft()
                load += weight
            ready, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in ready:
                item, weight = flying.pop(future)
                load -= weight
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield Done(item, None if error else future.result(), error)
    finally:
        for future in flying:
            future.cancel()
        wait(flying)
