"""Tensors one after another out of few long answers.

A request costs a way there and back, whatever it asks for. So a run of bytes is one request, and where the next run
begins at its end, as tensors in a file do, the answer goes on: from the second of them on more is asked for than is
needed. What another run began with is not asked for again.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from threading import Lock

_HOLE = 1 << 20  # what is read along rather than left out
_AHEAD = 8 << 20  # how far ahead is asked where runs follow one another
_WAITING = 8  # answers that may be gone on with

Ask = Callable[[int, int], Iterator[memoryview]]


class Run:
    """An answer that is read as far as ``at``."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.ahead = 0
        self._parts: Iterator[memoryview] = iter(())
        self._rest = memoryview(b"")

    def fill(self, buffer: memoryview, ask: Callable[[Run], Iterator[memoryview]]) -> None:
        """The next bytes; ``ask`` for more where the answer is at its end."""
        done = 0
        while done < len(buffer):
            taken = self._some(len(buffer) - done, ask)
            buffer[done : done + len(taken)] = taken
            done += len(taken)

    def skip(self, to: int) -> None:
        """Go on at ``to``: what the answer has before it is dropped."""
        while self.at < to:
            if not self._rest:
                self._rest = next(self._parts, memoryview(b""))
            if not self._rest:
                self.at = to
                return
            self._take(to - self.at)

    def _some(self, most: int, ask: Callable[[Run], Iterator[memoryview]]) -> memoryview:
        while not self._rest:
            more = next(self._parts, None)
            if more is None:
                self._parts = ask(self)
            else:
                self._rest = more
        return self._take(most)

    def _take(self, most: int) -> memoryview:
        taken, self._rest = self._rest[:most], self._rest[most:]
        self.at += len(taken)
        return taken


class Runs:
    """The runs of one object, for several threads; ``ask`` gives the bytes between two places."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waiting: list[Run] = []
        self._starts: list[int] = []
        self._lock = Lock()

    def follows(self, offset: int) -> bool:
        """Whether an answer stands at ``offset``, or shortly before."""
        with self._lock:
            return self._before(offset) is not None

    def pieces(self, offset: int, length: int, size: int) -> Iterator[memoryview]:
        """``length`` bytes at ``offset``, in pieces of ``size`` but the last; each is good until the next."""
        stop = offset + length
        run = self._begin(offset)
        buffer = memoryview(bytearray(min(size, length)))
        for at in range(offset, stop, size):
            piece = buffer[: min(size, stop - at)]
            run.fill(piece, lambda run: self._more(run, stop))
            yield piece
        with self._lock:
            self._waiting = [*self._waiting, run][-_WAITING:]

    def close(self) -> None:
        with self._lock:
            self._waiting.clear()

    def _begin(self, offset: int) -> Run:
        with self._lock:
            run = self._before(offset)
            if run is None:
                insort(self._starts, offset)
                return Run(offset)
            self._waiting.remove(run)
            run.ahead = _AHEAD
        run.skip(offset)
        return run

    def _before(self, offset: int) -> Run | None:
        near = (run for run in self._waiting if 0 <= offset - run.at <= _HOLE)
        return max(near, key=lambda run: run.at, default=None)

    def _more(self, run: Run, stop: int) -> Iterator[memoryview]:
        with self._lock:
            after = bisect_right(self._starts, run.at)
            other = self._starts[after] if after < len(self._starts) else run.at + run.ahead
        return self._ask(run.at, max(stop, min(run.at + run.ahead, other)))
