"""Threads of this process: for work that is reading, writing and native code."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from modelglot.engine.executors.flight import fly
from modelglot.engine.executors.interface import Results

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Threads:
    """``jobs`` items at a time, of at most ``most_bytes`` together."""

    elsewhere: ClassVar[bool] = False
    jobs: int
    most_bytes: int | None = None

    def width(self) -> int:
        return self.jobs

    def run(
        self,
        work: Callable[[T], R],
        queue: deque[T],
        size: Callable[[T], int] = lambda _: 0,
        *,
        repeatable: bool = False,
    ) -> Results:
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from fly(lambda item: pool.submit(work, item), queue, self.width, size, self.most_bytes)
