"""A tree in a store, listed once: what is there, how large and of which version, before any object is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

from modelglot.core.errors import CannotOpenError, PlanError, UnsupportedError
from modelglot.core.urls import public
from modelglot.sources.remote.causes import cause
from modelglot.sources.remote.source import RemoteSource
from modelglot.sources.remote.stores import folder_and_name, place

MOST_LISTED = 100_000  # objects around one model
MOST_IN_TREE = 1_000_000  # of a tree of models: about 0.4 kB of memory each
_WORTH = 2 << 20  # bytes that a request is worth
_SMALL = 16 << 20  # what is larger is only read in pieces
_READ_AHEAD = 64  # objects of which pieces are kept at a time


class Object(NamedTuple):
    """``etag`` is the store's word for the version, without quotes; empty where it has none."""

    size: int
    mtime_ns: int
    etag: str


@dataclass(frozen=True, slots=True)
class Folder:
    """Objects by name, and names of folders. Both hold everything, hidden ones too."""

    files: dict[str, Object] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """Folders by their URL, without a slash at its end."""

    folders: dict[str, Folder] = field(default_factory=dict)
    _named: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, roots: Iterable[str]) -> Listing:
        """Everything below these URLs. Raises CannotOpenError, UnsupportedError for a server that lists nothing."""
        made = cls()
        for root in roots:
            made._add(root.rstrip("/"))
        return made

    def _add(self, root: str) -> None:
        if not can_list(root):
            raise UnsupportedError(
                "a web server does not list what it has", path=public(root),
                hint="name the files, or ask a store: s3://, gs://, az://, hf://",
            )  # fmt: skip
        for number, (name, found) in enumerate(objects(root, MOST_IN_TREE)):
            if number == 0:
                self.folders.setdefault(root, Folder())
            inside, _, base = name.rpartition("/")
            folder = f"{root}/{inside}" if inside else root
            if folder not in self.folders:
                self._make(root, inside)
            self.folders[folder].files[base] = found
        if root not in self.folders:
            raise CannotOpenError("no such folder", path=public(root), detail="the store lists nothing below it")
        for url in list(self.folders):  # an object that only marks a folder, as web consoles make them
            above, _, base = url.rpartition("/")
            if url != root and above in self.folders:
                self.folders[above].files.pop(base, None)

    def _make(self, root: str, inside: str) -> None:
        at = root
        for part in inside.split("/"):
            self.folders[at].folders[part] = None
            at = f"{at}/{part}"
            self.folders.setdefault(at, Folder())

    def part(self, folder: str, depth: int) -> Listing:
        """The folder and ``depth`` levels below it."""
        found = {folder: self.folders[folder]} if folder in self.folders else {}
        for url in list(found) if depth else ():
            for name in self.folders[url].folders:
                found |= self.part(f"{url}/{name}", depth - 1).folders
        return Listing(found)

    def find(self, url: str) -> Object | None:
        root, name = folder_and_name(url)
        folder = self.folders.get(root)
        return folder.files.get(name) if folder is not None and name else None

    def names(self, root: str, depth: int) -> tuple[str, ...]:
        """As `sources.file.list_names` has those of a disk."""
        if (root, depth) not in self._named:
            self._named[root, depth] = tuple(sorted(self._below(root, "", depth)))
        return self._named[root, depth]

    def _below(self, url: str, prefix: str, depth: int) -> Iterator[str]:
        folder = self.folders.get(url, Folder())
        yield from (prefix + name for name in folder.files)
        for name in folder.folders if depth else ():
            if not name.startswith("."):
                yield from self._below(f"{url}/{name}", f"{prefix}{name}/", depth - 1)


def can_list(url: str) -> bool:
    """Raises CannotOpenError for a URL that names nothing, MissingExtraError."""
    return url.startswith("hf://") or place(url + "/").listed


def objects(root: str, most: int) -> Iterator[tuple[str, Object]]:
    """Names below a folder of a store, page by page in the store's order. Raises CannotOpenError."""
    if root.startswith("hf://"):
        yield from _of_hub(root)
        return
    where, count = place(root + "/"), 0
    prefix = where.key.rstrip("/") + "/" if where.key else ""
    try:
        for page in import_module("obstore").list(where.store, prefix or None):
            count += len(page)
            if count > most:
                raise CannotOpenError(
                    f"more than {most:,} objects", path=public(root), hint="name a folder further down"
                )
            for meta in page:
                yield meta["path"][len(prefix) :], as_object(meta)
    except import_module("obstore.exceptions").BaseError as error:
        raise CannotOpenError("cannot be listed", path=public(root), detail=cause(error)) from None


def children(root: str) -> dict[str, Object]:
    """Objects right in a folder of a store, without what lies below it. Raises CannotOpenError."""
    where = place(root + "/")
    try:
        found = import_module("obstore").list_with_delimiter(where.store, where.key.rstrip("/") or None)
    except import_module("obstore.exceptions").BaseError as error:
        raise CannotOpenError("cannot be listed", path=public(root), detail=cause(error)) from None
    return {meta["path"].rpartition("/")[2]: as_object(meta) for meta in found["objects"]}


def object_at(url: str) -> Object | None:
    """What is there now; None for nothing, and for what access is refused to. One request, and no byte of it."""
    where = place(url)
    try:
        return as_object(import_module("obstore").head(where.store, where.key))
    except (import_module("obstore.exceptions").BaseError, FileNotFoundError, PermissionError):
        return None


def as_object(meta: Any) -> Object:
    """Of what `obstore` tells. Listings of Azure have ETags without the quotes that headers have."""
    return Object(meta["size"], round(meta["last_modified"].timestamp() * 1e9), bare(meta["e_tag"]))


def bare(etag: str | None) -> str:
    return (etag or "").removeprefix("W/").strip('"')


def _of_hub(root: str) -> Iterator[tuple[str, Object]]:
    """Through `huggingface_hub`, where it is installed; nothing otherwise."""
    owner, _, rest = root.removeprefix("hf://").partition("/")
    name, _, below = rest.partition("/")
    name, _, revision = name.partition("@")
    try:
        api = import_module("huggingface_hub").HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        found = list(api.list_repo_tree(f"{owner}/{name}", recursive=True, revision=revision or None))
    except ImportError:
        return
    except Exception as error:  # the library's own, which need no common type
        raise CannotOpenError("cannot be listed", path=root, detail=type(error).__name__) from None
    prefix = f"{below}/" if below else ""
    for file in found:
        size = getattr(file, "size", None)  # folders have none
        if size is not None and file.path.startswith(prefix):
            large = getattr(file, "lfs", None)
            yield file.path[len(prefix) :], Object(size, 0, large.sha256 if large else file.blob_id)


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
