"""While a listing is known, names, sizes and versions come from there, and an object is opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from modelglot.core.errors import PlanError
from modelglot.core.urls import public
from modelglot.sources.remote.listing import Folder, Listing
from modelglot.sources.remote.objects import Object, bare, can_list
from modelglot.sources.remote.source import RemoteSource
from modelglot.sources.remote.stores import is_remote

_WORTH = 2 << 20  # bytes that a request is worth
_SMALL = 16 << 20  # what is larger is only read in pieces
_READ_AHEAD = 64  # objects of which pieces are kept at a time


@dataclass(slots=True)
class _Known:
    listing: Listing
    opened: dict[str, RemoteSource] = field(default_factory=dict)


_KNOWN: ContextVar[_Known | None] = ContextVar("known", default=None)


@contextmanager
def known(listing: Listing | None) -> Iterator[None]:
    """In this block of this thread, what the listing has is not asked for again, and an object is opened once, whoever
    looks at it: for all that is to be said of one model."""
    token = _KNOWN.set(_Known(listing) if listing is not None else None)
    try:
        yield
    finally:
        _KNOWN.reset(token)


@contextmanager
def listed(path: str) -> Iterator[None]:
    """`known`, for a path that is a folder of a store: what lies beside its weights is not opened to learn its size.

    Not for what goes on to move bytes: of objects that are not opened, a change is not noticed. Raises CannotOpenError.
    """
    folder = is_remote(path) and path.endswith("/") and can_list(path.rstrip("/"))
    with known(Listing.of([path]) if folder else _current()):
        yield


def _current() -> Listing | None:
    found = _KNOWN.get()
    return found.listing if found is not None else None


def known_folder(url: str) -> Folder | None:
    found = _KNOWN.get()
    return found.listing.folders.get(url) if found is not None else None


def known_object(url: str) -> Object | None:
    found = _KNOWN.get()
    return found.listing.find(url) if found is not None else None


def known_names(root: str, depth: int) -> tuple[str, ...] | None:
    """None where the folder is not in a listing."""
    found = _KNOWN.get()
    if found is None or root not in found.listing.folders:
        return None
    return found.listing.names(root, depth)


class _Patient(RemoteSource):
    """Where requests for pieces have cost as much as the rest, the rest comes in one: a graph with its weights between
    its nodes, a header of many megabytes."""

    _misses = 0

    def _more(self, at: int, length: int) -> bytes:
        self._misses += 1
        rest = self.size <= min(_SMALL, self._misses * _WORTH)
        return super()._more(at, self._gap(at) if rest else length)


class ListedSource:
    """An object that is only asked for when its bytes are read. Raises PlanError where it is another one by then."""

    def __init__(self, url: str, known: _Known, found: Object, *, far: bool) -> None:
        self.path, self.far, self.size = public(url), far, found.size
        self._url, self._known, self._found = url, known, found

    @property
    def stamp(self) -> tuple[int, ...]:
        """That of the open object; nothing while none of its bytes were asked for."""
        opened = self._known.opened.get(self._url)
        return opened.stamp if opened is not None else ()

    def changed(self) -> bool:
        return False

    def opened(self) -> RemoteSource:
        there = self._known.opened
        if self._url not in there:
            source = _Patient(self._url, far=self.far)
            if source.size != self.size or _differ(source.etag, self._found.etag):
                raise PlanError("the object changed since it was listed", path=self.path, hint="run it again")
            if len(there) >= _READ_AHEAD:
                there[list(there)[-_READ_AHEAD]].close()  # only what it keeps
            there[self._url] = source
        return there[self._url]

    def pread(self, offset: int, length: int) -> bytes:
        return b"" if self.size == length == offset == 0 else self.opened().pread(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self.opened().readinto(offset, buffer)

    def close(self) -> None:
        """Nothing: others look at the object too, until the block of `known` ends."""

    def __enter__(self) -> ListedSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _differ(etag: str | None, listed: str) -> bool:
    return bool(etag and listed and bare(etag) != listed)


def source_of(url: str, *, far: bool = True) -> RemoteSource | ListedSource:
    """Of an object in a known listing one that waits; any other is asked for now."""
    found = _KNOWN.get()
    entry = found.listing.find(url) if found is not None else None
    if found is None or entry is None:
        return RemoteSource(url, far=far)
    return ListedSource(url, found, entry, far=far)
