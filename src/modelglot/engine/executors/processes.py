"""Processes of this machine: for work that is mostly Python. One that dies takes nothing but its own item with it."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from modelglot.core.errors import UnsupportedError
from modelglot.engine.executors.flight import fly
from modelglot.engine.executors.interface import Done, Results, Size, Work, nothing

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 2  # items a process that wait for it, so that none idles


@dataclass(frozen=True, slots=True)
class Processes:
    """``jobs`` new interpreters (not forks: this one may have threads). Each is replaced after ``renew`` items, which
    bounds what fragmentation can add up to. ``work`` and items are pickled: a function of a module, plain values.

    When a process dies (out of memory, a crash in native code) everything under way is lost with it: those items run
    again, one at a time, and the one that kills its process again becomes an error.
    """

    elsewhere: ClassVar[bool] = True
    jobs: int
    renew: int = 1000

    def width(self) -> int:
        return self.jobs

    def run(self, work: Work[T, R], queue: deque[T], size: Size[T] = nothing, *, repeatable: bool = False) -> Results:
        suspects: list[T] = []
        while queue or suspects:
            if suspects:
                yield self._alone(work, suspects.pop(0))
                continue
            with self._pool(self.jobs) as pool, closing(fly(_submit(pool, work), queue, self._ahead)) as done:
                for result in done:
                    if isinstance(result.error, BrokenProcessPool):
                        suspects.append(result.item)  # type: ignore[arg-type]
                    else:
                        yield result

    def _ahead(self) -> int:
        return _AHEAD * self.jobs

    def _alone(self, work: Callable[[T], R], item: T) -> Done:
        with self._pool(1) as pool:
            for result in fly(_submit(pool, work), deque([item]), lambda: 1):
                if isinstance(result.error, BrokenProcessPool):
                    died = UnsupportedError("the process that read it died", hint="perhaps it ran out of memory")
                    return Done(item, None, died)
                return result
        raise RuntimeError("no result")  # pragma: no cover

    def _pool(self, jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=self.renew
        )


def _submit(pool: ProcessPoolExecutor, work: Callable[[T], R]) -> Callable[[T], Future[R]]:
    return lambda item: pool.submit(work, item)
