"""Threads of this process: for work that is reading, writing and native code."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from modelglot.engine.executors.flight import fly
from modelglot.engine.executors.interface import Results, Size, Work, nothing

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

    def run(self, work: Work[T, R], queue: deque[T], size: Size[T] = nothing, *, repeatable: bool = False) -> Results:
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from fly(lambda item: pool.submit(work, item), queue, self.width, size, self.most_bytes)
