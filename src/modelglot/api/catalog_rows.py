"""What a worker of `catalog build` does: look at a folder, or at some files of one, and make a row of each model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from modelglot.api import finding
from modelglot.api.catalog_model import described
from modelglot.api.finding import Found, Seen
from modelglot.core.model import FileRef
from modelglot.features.catalog.licence import CARD
from modelglot.features.catalog.row import FileStamp, Row, made_by
from modelglot.features.catalog.tree import address, entry
from modelglot.sources.file import listed_once
from modelglot.sources.opening import is_remote
from modelglot.sources.remote.known import known
from modelglot.sources.remote.listing import Listing

AT_A_TIME = 8  # models of a store that one process asks for: it waits most of the time

Known = Mapping[str, tuple[str, str, str]]  # path -> stamp of the weights, digest, contents: of the last time


@dataclass(frozen=True, slots=True)
class Task:
    """``known`` are digests of the last time, ``listing`` is what a store has there."""

    where: finding.Task
    digests: bool = True
    known: Known = field(default_factory=dict)
    listing: Listing | None = None


def look_at(tasks: tuple[Task, ...]) -> list[Seen[Row]]:
    """One result a task. Never raises for what is in a file."""
    if not is_remote(tasks[0].where.root):
        with listed_once():
            return [_look(task) for task in tasks]
    with ThreadPoolExecutor(min(AT_A_TIME, len(tasks))) as pool:
        return list(pool.map(_look, tasks))


def _look(task: Task) -> Seen[Row]:
    with known(task.listing):
        return finding.look(task.where, partial(_row, task))


def lost(task: Task, error: Exception) -> Row:
    """The row for a file, or a folder, whose process died."""
    return _row(task, finding.lost(task.where, error))


def smaller(task: Task) -> list[Task]:
    return [replace(task, where=where) for where in finding.smaller(task.where)]


def _row(task: Task, found: Found) -> Row:
    row = Row(found.path, found.folder, (), format=found.format.info.name if found.format else None)
    if found.model is None:
        row.files = tuple(stamps(found.folder, found.files))
        if found.error is not None:
            row.error, row.error_code = found.error.what, found.error.code
    else:
        row.files = tuple(_stamps_of(found, found.model.files))
        described(row, found.model, task.digests, task.known.get(row.path))
    row.seen = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    row.modelglot = made_by()
    return row


def _stamps_of(found: Found, refs: Iterable[FileRef]) -> Iterator[FileStamp]:
    """As the files were when they were opened; of a store, when it was listed."""
    if is_remote(found.folder):
        yield from (s._replace(role=found.files[s.name]) for s in stamps(found.folder, found.files))
    else:
        for ref in (r for r in refs if r.name in found.files):
            size, mtime_ns, inode = ref.stamp
            yield FileStamp(ref.name, size, mtime_ns, inode, found.files[ref.name])
    if found.path != address(found.folder):  # a card beside a file may say its licence
        yield from (s._replace(role="side") for s in stamps(found.folder, [CARD]))


def stamps(folder: str, names: Iterable[str]) -> Iterator[FileStamp]:
    """Of those that are there."""
    for name in names:
        there = entry(os.path.join(folder, name))
        if there is not None:
            yield FileStamp(name, there.size, there.mtime_ns, there.inode, etag=there.etag)
