"""inspect_many(): every model that paths and patterns mean, several at a time, each as soon as it is known."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelglot.api.finding import Found, Seen, Task, look
from modelglot.api.inspecting import describe, inspect
from modelglot.api.reading import PathLike
from modelglot.core.errors import CannotOpenError, ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.urls import public
from modelglot.engine.executors.threads import Threads
from modelglot.features.catalog.names import batches, leads
from modelglot.features.catalog.pattern import Pattern, is_pattern
from modelglot.features.catalog.tree import address
from modelglot.features.inspect.report import InspectReport
from modelglot.sources.file import Listed, listed_once
from modelglot.sources.opening import is_remote, open_files
from modelglot.sources.remote.known import known
from modelglot.sources.remote.listing import Listing

_HERE, _FAR = 4, 16  # at a time: a server is waited for most of the time


class Inspected(NamedTuple):
    """One model: its report, or the error that kept it from being read."""

    path: str
    report: InspectReport | None
    error: ModelFileError | None = None


def inspect_many(
    paths: PathLike | Iterable[PathLike],
    *,
    jobs: int | None = None,
    match: Iterable[str] = (),
    collapse: bool = True,
    exclude: Iterable[str] = (),
    limits: Limits | None = None,
) -> Iterator[Inspected]:
    """`inspect` of every model of ``paths``: files, folders that are one model, and patterns.

    ``models/**``, ``s3://bucket/models/**/*.gguf``: models are found as `build_catalog` finds them; one of several
    files fits where its path or one of its files does. At most ``jobs`` (4, in a store 16) are looked at a time, in
    threads, and what is ready is handed on before more is begun: they come in no order, with one job in that of the
    walk. Files and folders of a name in ``exclude``, such as ``tmp*``, are passed over. A store is listed once, before
    the first model. Nothing is raised for what is wrong with a model, a path or a
    pattern: that is an `Inspected` with an error.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    walk = _Walk(_Options(tuple(match), collapse, limits or Limits()), tuple(exclude))
    for one in given:
        path = os.fspath(one)
        yield from walk.start(path)
        if is_pattern(path):  # what was begun is finished first: one listing at a time in memory
            yield from walk.run(jobs or (_FAR if is_remote(path) else _HERE))
            yield from walk.end(path)
    yield from walk.run(jobs or _HERE)


def has_patterns(paths: Iterable[str]) -> bool:
    """Whether `inspect_many` would look for models, and not only at these paths."""
    return any(map(is_pattern, paths))


class _Options(NamedTuple):
    match: tuple[str, ...]
    collapse: bool
    limits: Limits


@dataclass(slots=True)
class _Tree:
    """What a pattern is looked for in. ``owned`` are files of models that lie elsewhere."""

    pattern: Pattern
    listing: Listing | None
    owned: set[str] = field(default_factory=set)
    found: int = 0


@dataclass(slots=True)
class _Folder:
    """First its files that may name others, then the others and its sub-folders: by then it is known whose they are."""

    tree: _Tree
    path: str
    names: Listed = field(default_factory=dict)  # listings that its pieces share
    rest: list[tuple[str, ...]] = field(default_factory=list)
    below: tuple[str, ...] = ()
    waits: int = 0


@dataclass(slots=True)
class _Piece:
    """A path to inspect, or what to look at in a folder."""

    path: str
    folder: _Folder | None = None
    names: tuple[str, ...] | None = None


@dataclass(slots=True)
class _Walk:
    options: _Options
    exclude: tuple[str, ...] = ()
    queue: deque[_Piece] = field(default_factory=deque)
    tree: _Tree | None = None

    def start(self, path: str) -> Iterator[Inspected]:
        """Queue it, or say why not."""
        if not is_pattern(path):
            self.queue.append(_Piece(path))
            return
        try:
            pattern = Pattern(path)
            if not is_remote(pattern.root) and not os.path.isdir(pattern.root):
                raise CannotOpenError("no such folder", path=pattern.root)
            listing = Listing.of([pattern.root]) if is_remote(pattern.root) else None
        except ModelFileError as error:
            yield Inspected(public(path), None, error)
            return
        self.tree = _Tree(pattern, listing)
        self._enter(_Folder(self.tree, pattern.root))

    def end(self, path: str) -> Iterator[Inspected]:
        tree, self.tree = self.tree, None
        if tree is not None and not tree.found:
            yield Inspected(public(path), None, CannotOpenError("no model fits this pattern", path=public(path)))

    def run(self, jobs: int) -> Iterator[Inspected]:
        for done in Threads(jobs).run(self._look, self.queue):
            piece: _Piece = done.item  # type: ignore[assignment]
            if done.error is not None:
                yield Inspected(public(piece.path), None, _defect(piece.path, done.error))
                continue
            seen: Seen[tuple[Found, Inspected]] = done.value  # type: ignore[assignment]
            for found, made in seen.made:
                yield from self._own(piece, found, made)
            if piece.folder is not None:
                self._go_on(piece.folder, piece.names, seen)

    def _own(self, piece: _Piece, found: Found, made: Inspected) -> Iterator[Inspected]:
        """Of what has only files of other models there is nothing to say."""
        if piece.folder is not None:
            tree = piece.folder.tree
            files = {os.path.join(found.folder, name) for name in found.weights}
            if files and files <= tree.owned:
                return
            tree.found += 1
        yield made

    def _enter(self, folder: _Folder) -> None:
        if folder.tree.pattern.may_hold(folder.path):
            self.queue.append(_Piece(address(folder.path), folder))

    def _go_on(self, folder: _Folder, names: tuple[str, ...] | None, seen: Seen[tuple[Found, Inspected]]) -> None:
        if names is None or folder.waits:
            folder.tree.owned.update(seen.owned)
        if names is None:
            groups = [group for group in batches(seen.left, 1) if self._wanted(folder, group)]
            first = [group for group in groups if leads(group[0])]
            folder.rest = [group for group in groups if not leads(group[0])]
            folder.below, folder.waits = seen.below, len(first)
            self._queue(folder, first)
        elif folder.waits:
            folder.waits -= 1
        else:
            return
        if not folder.waits:
            self._queue(folder, folder.rest)
            folder.rest = []
            for path in folder.below:
                self._enter(_Folder(folder.tree, path))

    def _wanted(self, folder: _Folder, group: tuple[str, ...]) -> bool:
        return any(folder.tree.pattern.fits(os.path.join(folder.path, name)) for name in group)

    def _queue(self, folder: _Folder, groups: Iterable[tuple[str, ...]]) -> None:
        for group in groups:
            names = tuple(name for name in group if os.path.join(folder.path, name) not in folder.tree.owned)
            if names:
                self.queue.append(_Piece(os.path.join(folder.path, names[0]), folder, names))

    def _look(self, piece: _Piece) -> Seen[tuple[Found, Inspected]]:
        """In a thread."""
        if piece.folder is None:
            return Seen(((Found(piece.path, ""), self._inspected(piece.path)),))
        tree, path = piece.folder.tree, piece.folder.path
        with known(tree.listing), listed_once(piece.folder.names):
            whole = piece.names is None and self._may_fit(tree, path)
            task = Task(tree.pattern.root, path, piece.names, whole, self.exclude)
            return look(task, lambda found: self._made(tree, found), self.options.limits)

    def _may_fit(self, tree: _Tree, folder: str) -> bool:
        if tree.pattern.fits(folder, folder=True):
            return True
        try:
            names = open_files(address(folder)).names()
        except ModelFileError:
            return True  # which is said
        return any(tree.pattern.fits(os.path.join(folder, name)) for name in names)

    def _made(self, tree: _Tree, found: Found) -> tuple[Found, Inspected] | None:
        pattern = tree.pattern
        paths = [found.path.rstrip("/"), *(os.path.join(found.folder, name) for name in found.weights)]
        if not any(pattern.fits(path, folder=path == found.folder) for path in paths):
            return None
        shown = public(pattern.shown(found.path))
        if found.error is not None:
            if found.error.path is None or not os.path.dirname(found.error.path):
                found.error.path = shown
            return found, Inspected(shown, None, found.error)
        if found.model is None or found.format is None or found.match is None:
            return None
        options: Any = self.options._asdict()
        return found, Inspected(
            shown, describe(found.model, pattern.shown(found.path), found.format, found.match.why, **options)
        )

    def _inspected(self, path: str) -> Inspected:
        try:
            return Inspected(public(path), inspect(path, **self.options._asdict()))
        except ModelFileError as error:
            return Inspected(public(path), None, error)


def _defect(path: str, error: Exception) -> ModelFileError:
    return ModelFileError(f"reading it failed: {type(error).__name__}, please report it", path=path)
