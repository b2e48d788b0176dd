"""The files of a model, opened when they are needed and checked to be the ones that were inspected."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Protocol

from modelglot.core.errors import PlanError
from modelglot.core.format import Source
from modelglot.core.model import FileRef
from modelglot.sources.file import MOST_OPEN
from modelglot.sources.opening import AnySource, open_source


class Pool(Protocol):
    """Opens a model's sources by number."""

    def __call__(self, number: int) -> Source: ...
    def check_unchanged(self) -> None: ...
    def close(self) -> None: ...


class SourcePool:
    """The plan's sources, opened once, checked to be the files that were planned."""

    def __init__(self, refs: tuple[FileRef, ...]) -> None:
        self._refs = refs
        self._open: dict[int, AnySource] = {}
        self._lock = Lock()

    def __call__(self, number: int) -> AnySource:
        with self._lock:
            if number not in self._open:
                ref = self._refs[number]
                source = open_source(ref.path)
                if ref.stamp and source.stamp != ref.stamp:
                    raise PlanError("the file changed since it was inspected", path=ref.path, hint="run it again")
                if len(self._open) >= MOST_OPEN:
                    self._check(oldest := next(iter(self._open)))
                    del self._open[oldest]  # closed once nobody reads from it any more
                self._open[number] = source
            return self._open[number]

    def check_unchanged(self) -> None:
        """Raise PlanError where a source was modified while it was read."""
        for number in self._open:
            self._check(number)

    def _check(self, number: int) -> None:
        if self._open[number].changed():
            raise PlanError("the file changed while it was read", path=self._refs[number].path)

    def close(self) -> None:
        for source in self._open.values():
            source.close()


@lru_cache(1)
def kept_pool(sources: tuple[FileRef, ...]) -> SourcePool:
    """For a process that gets one piece of work after another of the same model: opening a URL is a request."""
    return SourcePool(sources)
