"""Folders of a tree and what they look like from outside: enough to tell which have changed since the last time.

Of a tree in a store that is what its listing says: the functions here answer inside of `known.known`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple

from modelglot.sources.file import reason
from modelglot.sources.opening import is_remote
from modelglot.sources.remote.known import known_folder, known_object

MARK = 12  # bytes of a folder's mark


class Entry(NamedTuple):
    """A file in a folder; links are followed for its size and time. An object has an ETag, and no inode."""

    size: int
    mtime_ns: int
    inode: int
    etag: str = ""


class Listing(NamedTuple):
    """Files by name and names of sub-folders, both sorted; hidden ones (.git, unfinished work) are left out.

    ``error`` is the system's word where the folder cannot be listed.
    """

    files: dict[str, Entry]
    folders: tuple[str, ...]
    error: str | None = None


_PASSED: ContextVar[tuple[str, ...]] = ContextVar("passed", default=())


@contextmanager
def without(names: Iterable[str]) -> Iterator[None]:
    """In this block of this thread files and folders of these names, or that fit these patterns, are not seen."""
    token = _PASSED.set(tuple(names))
    try:
        yield
    finally:
        _PASSED.reset(token)


def listing(folder: str) -> Listing:
    """Links to folders and what is no file are left out."""
    found = _of_store(folder) if is_remote(folder) else _of_disk(folder)
    passed = _PASSED.get()
    if not passed:
        return found
    files = {name: entry for name, entry in found.files.items() if not _fits(name, passed)}
    return Listing(files, tuple(name for name in found.folders if not _fits(name, passed)), found.error)


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _of_disk(folder: str) -> Listing:
    files, folders, error = {}, [], None
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                try:
                    found = entry.stat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    files[entry.name] = Entry(found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError as closed:
        error = reason(closed)
    if "snapshots" in folders and "blobs" in folders:  # the hub's cache: every snapshot links to blobs
        folders.remove("blobs")
    return Listing(files, tuple(folders), error)


def _of_store(url: str) -> Listing:
    found = known_folder(url)
    if found is None:
        return Listing({}, (), "no such folder")
    files = {n: Entry(o.size, o.mtime_ns, 0, o.etag) for n, o in sorted(found.files.items()) if not n.startswith(".")}
    return Listing(files, tuple(sorted(n for n in found.folders if not n.startswith("."))), found.error)


def entry(path: str) -> Entry | None:
    """What is there now, or was when the store was listed; None where there is no file."""
    if is_remote(path):
        found = known_object(path)
        return Entry(found.size, found.mtime_ns, 0, found.etag) if found is not None else None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Entry(status.st_size, status.st_mtime_ns, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def address(folder: str) -> str:
    """What to call a folder that is one model: of a store it needs the slash."""
    return f"{folder}/" if is_remote(folder) else folder


def walk(root: str) -> Iterator[tuple[str, bytes]]:
    """(folder, mark) of every folder, the deepest first. A mark changes when anything below its folder does."""
    stack: list[tuple[str, Listing, dict[str, bytes]]] = [(root, listing(root), {})]
    while stack:
        folder, seen, marks = stack[-1]
        if len(marks) < len(seen.folders):
            path = os.path.join(folder, seen.folders[len(marks)])
            stack.append((path, listing(path), {}))
            continue
        stack.pop()
        mark = _mark(folder, seen, marks)
        if stack:
            stack[-1][2][os.path.basename(folder)] = mark
        yield folder, mark


def _mark(folder: str, seen: Listing, below: dict[str, bytes]) -> bytes:
    hasher = blake2b(os.fsencode(folder) + b"\0", digest_size=MARK)
    for name, entry in seen.files.items():
        hasher.update(os.fsencode(name) + f"\0{entry.size}\0{entry.mtime_ns}\0{entry.inode}{entry.etag}\n".encode())
    for name in seen.folders:
        hasher.update(os.fsencode(name) + b"/" + below[name])
    return hasher.digest()
