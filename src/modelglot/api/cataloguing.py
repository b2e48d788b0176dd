"""catalog(): every model of a tree in one table, and what is asked of it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import NamedTuple

from modelglot.api import finding
from modelglot.api.catalog_place import to_read, to_replace
from modelglot.api.catalog_rows import Known, Task, look_at, lost, smaller, stamps
from modelglot.api.finding import Seen
from modelglot.api.reading import PathLike
from modelglot.core.errors import CannotOpenError
from modelglot.engine.executors.interface import Executor
from modelglot.engine.executors.processes import Processes
from modelglot.engine.executors.threads import Threads
from modelglot.features.catalog import table
from modelglot.features.catalog.licence import CARD
from modelglot.features.catalog.names import batches
from modelglot.features.catalog.row import Row, made_by, stamp, text
from modelglot.features.catalog.table import Answer
from modelglot.features.catalog.tree import address, entry, walk, without
from modelglot.sources.opening import is_remote
from modelglot.sources.remote.known import known
from modelglot.sources.remote.listing import Listing

_AGAIN = ("missing-extra", "cannot-open", "error")  # may be otherwise next time although the files are the same
_FOLDERS = 16  # of one piece of work
_FILES = 32  # of one piece of work
_PIECES = 64  # of a large folder: each piece of work lists it once
_DEEP, _BESIDE = 8, 2  # levels below that the readers of a folder, and of a file, ask about
_FEW = 8

Batch = tuple[Task, ...]


class Built(NamedTuple):
    """What a build did: models in the catalog, how many of them were looked at now, and what is worth a look."""

    path: str
    models: int
    looked_at: int
    errors: int
    unsafe: int
    unknown: int
    nbytes: int


class Progress(NamedTuple):
    """Models looked at so far, and the last one."""

    models: int
    path: str


class _OldRow(NamedTuple):
    path: str
    stamp: str
    files: tuple[str, ...]
    digests: tuple[str, str, str] | None
    settled: bool  # nothing in it could be otherwise while its files are the same


def build_catalog(
    roots: PathLike | Iterable[PathLike],
    target: PathLike,
    *,
    digests: bool = True,
    exclude: Iterable[str] = (),
    jobs: int = 1,
    fresh: bool = False,
    force: bool = False,
    on_event: Callable[[Progress], None] | None = None,
) -> Built:
    """One row a model of everything below ``roots``, into a Parquet file that is replaced in one step.

    Roots are folders of this machine and of stores, and so is the target's: ``s3://bucket/models``. What the file
    already says of models whose files have the same names, sizes, times, inodes and ETags stays, unless ``fresh``.
    Files and folders of a name in ``exclude``, such as ``tmp*``, are passed over. ``jobs`` above 1 start processes: a
    script that calls this needs ``if __name__ == "__main__"``. Raises CannotOpenError for a root that is not there or
    cannot be listed, UnsupportedError for one on a web server, MissingExtraError without duckdb, TargetExistsError
    where the target is something else (``force`` replaces a file), CannotWriteError. What is wrong with a model is in
    its row.
    """
    given = _roots([roots] if isinstance(roots, (str, os.PathLike)) else roots)
    with ExitStack() as stack:
        path = stack.enter_context(to_replace(os.fspath(target)))
        old = table.check_target(path, force=force)
        work = stack.enter_context(TemporaryDirectory(prefix="modelglot-"))
        new = stack.enter_context(closing(table.Rows(os.path.join(work, "new.jsonl"))))
        kept = stack.enter_context(closing(table.Rows(os.path.join(work, "kept.jsonl"))))
        far = Listing.of(root for root in given if is_remote(root))
        stack.enter_context(known(far))
        passed = tuple(exclude)
        stack.enter_context(without(passed))
        build = _Build(new, kept, digests, on_event, far, passed)
        build.remember(given, None if fresh else old)
        executor: Executor = Threads(1) if jobs == 1 else Processes(jobs)
        build.run(given, executor)
        table.write(path, old, kept, new, build.looked.values(), _made(digests))
        models, *rest = table.counts(path)
        return Built(os.fspath(target), models, new.count, *rest)


def query_catalog(catalog: PathLike, sql: str) -> Answer:
    """The rows that one SELECT over the table ``catalog`` gives; it can read nothing else. One in a store is fetched.

    Raises CannotOpenError, InvalidFileError for the file; UnsafeContentError for a query that is no SELECT or reaches
    for a file; UnsupportedError for one that does not run; MissingExtraError.
    """
    with to_read(os.fspath(catalog)) as path:
        return table.query(path, sql)


class Duplicates(NamedTuple):
    """Models of one digest; ``spare`` is what all but the smallest of them take."""

    digest: str
    models: int
    nbytes: int
    spare: int
    paths: tuple[str, ...]
    formats: tuple[str, ...]


def duplicates(catalog: PathLike, *, names: bool = True) -> list[Duplicates]:
    """Groups of models with equal weights, the most bytes to spare first. ``names=False``: whatever tensors are called.

    Models without parameters are left out. Raises the errors of `query_catalog`.
    """
    column = "digest" if names else "contents"
    found = query_catalog(
        catalog,
        f"SELECT {column}, count(*), sum(bytes)::BIGINT, (sum(bytes) - min(bytes))::BIGINT,"
        f" list(path ORDER BY path), list(format ORDER BY path) FROM catalog WHERE {column} IS NOT NULL"
        f" AND parameters > 0 GROUP BY {column} HAVING count(*) > 1 ORDER BY 4 DESC, {column}",
    )
    return [Duplicates(d, n, b, s, tuple(p), tuple(f)) for d, n, b, s, p, f in found.rows]


def _roots(given: Iterable[PathLike]) -> list[str]:
    """Absolute, without those that lie inside another."""
    folders = set()
    for root in given:
        name = os.fspath(root)
        if not is_remote(name) and not os.path.isdir(name):
            raise CannotOpenError("no such folder", path=name)
        folders.add(name.rstrip("/") if is_remote(name) else os.path.abspath(name))
    found = list[str]()
    for folder in sorted(folders):
        if not any(folder.startswith(root.rstrip("/") + "/") for root in found):
            found.append(folder)
    return found


def _made(digests: bool) -> str:
    return f"{made_by()} {'digests' if digests else 'headers'}"


@dataclass(slots=True)
class _Build:
    """``marks`` are those of all folders there are, ``looked`` of those whose models are in the catalog: a folder that
    is part of a model is not among them, and is looked into when that model is gone."""

    new: table.Rows
    kept: table.Rows
    digests: bool
    on_event: Callable[[Progress], None] | None
    far: Listing
    exclude: tuple[str, ...]
    marks: dict[str, bytes] = field(default_factory=dict)
    looked: dict[str, bytes] = field(default_factory=dict)
    known: dict[str, list[_OldRow]] = field(default_factory=dict)

    def remember(self, roots: list[str], old: table.Old | None) -> None:
        """Sort folders into those that are as they were, whose rows stay, and the others."""
        for root in roots:
            self.marks.update(walk(root))
        if old is None:
            return
        trusted = old.kept.made in (_made(True), _made(self.digests))
        if trusted:
            self.looked = {folder: mark for folder, mark in self.marks.items() if mark in old.kept.folders}
        same, there = {text(folder) for folder in self.looked}, {text(folder) for folder in self.marks}
        columns = ("path", "folder", "stamp", "weights_stamp", "digest", "contents", "error", "digest_error",
                   "[f.name for f in files]")  # fmt: skip
        for path, folder, *more in old.rows(columns):
            if folder in same:
                self.kept.add({"path": path})
            elif folder in there:
                self.known.setdefault(folder, []).append(_old_row(path, more, trusted, self.digests))

    def run(self, roots: list[str], executor: Executor) -> None:
        queue: deque[Batch] = deque()
        for root in roots:
            self._enter(queue, root, [root])
        for done in executor.run(look_at, queue):
            batch: Batch = done.item  # type: ignore[assignment]
            if done.error is None:
                for task, seen in zip(batch, done.value, strict=True):  # type: ignore[call-overload]
                    self._take(queue, task, seen)
                continue
            if len(batch) > 1:
                queue.extend((task,) for task in batch)
                continue
            less = smaller(batch[0])
            queue.extend((task,) for task in less)
            if not less:
                self._add(lost(batch[0], done.error))

    def _enter(self, queue: deque[Batch], root: str, folders: Iterable[str]) -> None:
        """Queue the folders that are not as they were."""
        wanted = [f for f in folders if f in self.marks and f not in self.looked]
        for at in range(0, len(wanted), _FOLDERS):
            some = wanted[at : at + _FOLDERS]
            queue.append(tuple(self._task(finding.Task(root, folder, exclude=self.exclude)) for folder in some))

    def _take(self, queue: deque[Batch], task: Task, seen: Seen[Row]) -> None:
        where = task.where
        if where.names is None:
            self.looked[where.folder] = self.marks[where.folder]
            self._enter(queue, where.root, seen.below)
            taken = self._keep(where.folder, set(seen.left))
            most = max(_FILES, len(seen.left) // _PIECES)
            for names in batches((name for name in seen.left if name not in taken), most):
                pieces = batches(names, 1) if is_remote(where.root) else [names]  # several at a time, or one by one
                queue.append(tuple(self._task(replace(where, names=piece)) for piece in pieces))
        for row in seen.made:
            self._add(row)

    def _task(self, where: finding.Task) -> Task:
        known = self._digests(where.folder, where.names)
        if not is_remote(where.root):
            return Task(where, self.digests, known)
        return Task(where, self.digests, known, self.far.part(where.folder, _BESIDE if where.names else _DEEP))

    def _keep(self, folder: str, left: set[str]) -> set[str]:
        """Names of files whose rows stay."""
        taken: set[str] = set()
        card = entry(os.path.join(folder, CARD)) is not None  # one that is new may say the licence
        for row in self.known.get(text(folder), ()):
            here = row.settled and os.path.basename(row.path) in left and (CARD in row.files) == card
            if here and _stamp(folder, row.files) == row.stamp:
                self.kept.add({"path": row.path})
                taken.update(row.files)
        return taken

    def _digests(self, folder: str, names: Iterable[str] | None = None) -> Known:
        """Digests of the last time that may still be right."""
        rows = self.known.get(text(folder), [])
        if names is None:
            rows = [r for r in rows if len(rows) <= _FEW or r.path == text(address(folder))]
        else:
            wanted = {text(os.path.join(folder, name)) for name in names}
            rows = [r for r in rows if r.path in wanted]
        return {r.path: r.digests for r in rows if r.digests is not None}

    def _add(self, row: Row) -> None:
        if row.error_code in _AGAIN:
            self._forget(row.folder)
        self.new.add(row.document())
        if self.on_event is not None:
            self.on_event(Progress(self.new.count, row.path))

    def _forget(self, folder: str) -> None:
        """The folder is looked at again next time, and those that lead to it."""
        while folder in self.marks:
            self.looked.pop(folder, None)
            folder = os.path.dirname(folder)


def _old_row(path: str, values: list[object], trusted: bool, digests: bool) -> _OldRow:
    mark, weights, digest, contents, error, digest_error, names = values
    known = (str(weights), str(digest), str(contents)) if digest else None
    settled = trusted and not error and not digest_error and (known is not None or not digests)
    return _OldRow(path, str(mark), tuple(names), known, settled)  # type: ignore[arg-type]


def _stamp(folder: str, names: tuple[str, ...]) -> str | None:
    """The stamp of these files now; None where one is gone."""
    found = list(stamps(folder, names))
    return stamp(found) if len(found) == len(names) else None
