"""What the files of jobs look like from outside: text that changes when they do, and their bytes."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from modelglot.core.errors import ModelFileError
from modelglot.features.catalog.names import has_kin, stem
from modelglot.features.catalog.row import FileStamp
from modelglot.features.catalog.row import stamp as stamp_of
from modelglot.features.catalog.tree import Entry, entry, listing, walk
from modelglot.sources.opening import is_remote, open_source
from modelglot.sources.remote.known import known
from modelglot.sources.remote.listing import Listing
from modelglot.sources.remote.objects import Object, can_list, children, object_at
from modelglot.sources.remote.stores import below, folder_and_name

_MANY = 16  # files of one folder: it is listed rather than each asked for


class Inputs(NamedTuple):
    """``stamp`` is None where one of them is not there."""

    stamp: str | None
    nbytes: int


@dataclass(slots=True)
class Files:
    """``look`` answers the next question about each of its paths; after that a store is asked again."""

    _seen: dict[str, Object | None] = field(default_factory=dict)

    def look(self, paths: Iterable[str]) -> None:
        """List those folders of stores of which many files are wanted."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            root, name = folder_and_name(path) if is_remote(path) else ("", None)
            if name and not root.startswith(("http", "hf:")):
                wanted[root].add(name)
        for root, names in wanted.items():
            if len(names) >= _MANY:
                try:
                    there, _ = children(root)
                except ModelFileError:
                    continue  # then each is asked for, and says what is wrong
                self._seen |= {below(root, name): there.get(name) for name in names}

    def inputs(self, paths: Iterable[str]) -> Inputs:
        """Of folders everything below counts, of a file those that its name belongs to."""
        stamps, total = [], 0
        for path in paths:
            one, nbytes = self._far(path) if is_remote(path) else _here(path)
            stamps.append(one)
            total += nbytes
        there = [one for one in stamps if one is not None]
        return Inputs(" ".join(there) if len(there) == len(stamps) else None, total)

    def mark(self, path: str) -> str | None:
        """Of a file that was written: None where there is none."""
        if is_remote(path):
            found = self._object(path)
            return f"{found.size}:{found.etag or found.mtime_ns}" if found is not None else None
        there = entry(path)
        return f"{there.size}:{there.mtime_ns}:{there.inode}" if there is not None else None

    def _object(self, url: str) -> Object | None:
        if url in self._seen:
            return self._seen.pop(url)
        return object_at(url) if can_list(url) else None

    def _far(self, url: str) -> Inputs:
        try:
            root, name = folder_and_name(url)
            if not name or url.startswith("hf://") or not can_list(url):
                return _of_folder(root) if not name else _of_server(url)
            if has_kin(name):
                beside, _ = children(root)
                return _stamped({n: _entry(o) for n, o in beside.items() if n == name or stem(n) == stem(name)}, name)
            found = self._object(url)
        except ModelFileError:
            return Inputs(None, 0)
        return Inputs(None, 0) if found is None else _stamped({name: _entry(found)}, name)


def _of_server(url: str) -> Inputs:
    with open_source(url) as source:
        return Inputs(json.dumps(source.stamp), source.size)


def _of_folder(root: str) -> Inputs:
    found = Listing.of([root])
    with known(found):
        mark = dict(walk(root))[root].hex()
    return Inputs(mark, sum(o.size for folder in found.folders.values() for o in folder.files.values()))


def _here(path: str) -> Inputs:
    place = os.path.abspath(path)
    if os.path.isdir(place):
        marks = dict(walk(place))
        return Inputs(marks[place].hex(), sum(e.size for folder in marks for e in listing(folder).files.values()))
    folder, name = os.path.split(place)
    found = entry(place)
    if found is None:
        return Inputs(None, 0)
    if not has_kin(name):
        return _stamped({name: found}, name)
    return _stamped({n: e for n, e in listing(folder).files.items() if n == name or stem(n) == stem(name)}, name)


def _entry(found: Object) -> Entry:
    return Entry(found.size, found.mtime_ns, 0, found.etag)


def _stamped(files: dict[str, Entry], name: str) -> Inputs:
    if name not in files:
        return Inputs(None, 0)
    made = stamp_of(FileStamp(n, e.size, e.mtime_ns, e.inode, etag=e.etag) for n, e in files.items())
    return Inputs(made, sum(e.size for e in files.values()))
