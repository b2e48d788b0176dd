"""What a worker of `catalog build` does: look at a folder, or at some files of one, and say which models are there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from modelglot.api.catalog_model import described
from modelglot.api.reading import detect, read_as
from modelglot.core.errors import CannotOpenError, ModelFileError, UnknownFormatError, UnsupportedError, located
from modelglot.core.format import Format, Match
from modelglot.core.limits import Limits
from modelglot.core.model import FileRef, Model
from modelglot.features.catalog.licence import CARD
from modelglot.features.catalog.names import batches, is_meant, may_be_weights
from modelglot.features.catalog.row import FileStamp, Row, made_by
from modelglot.features.catalog.tree import Listing, listing
from modelglot.formats import registry
from modelglot.sources.file import FileProbe, LocalFiles, link_stays, listed_once

_BATCH = 32  # files that one piece of work looks at
_PIECES = 64  # of a large folder: each piece of work lists it once
_SURE = 60  # below, a format only guesses
_BY_INDEX = 88  # a folder of which a format knows the index or the marks, not just a suffix
_NO_MODEL = "not-a-model"
_OF_FOLDERS = frozenset(["config.json", "model_index.json"])  # beside weights: the folder is what people call the model

Known = Mapping[str, tuple[str, str, str]]  # path -> stamp of the weights, digest, contents: of the last time


@dataclass(frozen=True, slots=True)
class Task:
    """``names`` are files to look at; None is the folder itself, to be told what is in it. ``root`` is the tree.

    ``whole`` is False for a folder that is not to be read as one model.
    """

    root: str
    folder: str
    names: tuple[str, ...] | None = None
    digests: bool = True
    known: Known = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """``left`` are files that are models of their own, if any, by batches; ``below`` the sub-folders to go into."""

    rows: tuple[Row, ...] = ()
    left: tuple[tuple[str, ...], ...] = ()
    below: tuple[str, ...] = ()


def look_at(tasks: tuple[Task, ...]) -> list[Seen]:
    """One result a task. Never raises for what is in a file."""
    with listed_once():
        return [_look(task) for task in tasks]


def _look(task: Task) -> Seen:
    if task.names is None:
        return _folder(task)
    covered: set[str] = set()
    rows = []
    for name in task.names:
        if name in covered:
            continue
        row = _file(task, name)
        if row is not None:
            rows.append(row)
            covered.update(f.name for f in row.files if f.role == "weights")
    return Seen(tuple(rows))


def lost(task: Task, error: Exception) -> Row:
    """The row for a file, or a folder, whose process died."""
    what = error.what if isinstance(error, ModelFileError) else f"{type(error).__name__}, please report it"
    names = task.names or ()
    path = os.path.join(task.folder, *names)
    return _stamped(Row(path, task.folder, _stamps(task.folder, names), error=what, error_code="error"))


def smaller(task: Task) -> list[Task]:
    """What to look at instead where a task killed its process: single files, a folder's files one by one. Empty where
    it cannot be less."""
    if task.names is None:
        return [replace(task, whole=False)] if task.whole else []
    return [replace(task, names=(name,)) for name in task.names] if len(task.names) > 1 else []


def _folder(task: Task) -> Seen:
    """The folder as one model where a format says so, and what is left of it."""
    seen = listing(task.folder)
    if seen.error is not None:
        error = CannotOpenError(f"cannot be listed: {seen.error}")
        return Seen((_broken(task.folder, task.folder, (), error),))
    row = _guarded(task.folder, task.folder, (), lambda: _as_one(task, seen)) if task.whole else None
    taken = {f.name: f.role for f in row.files} if row else {}
    inside = {name.partition("/")[0] for name, role in taken.items() if "/" in name and role == "weights"}
    left = [name for name in seen.files if name not in taken]
    below = tuple(os.path.join(task.folder, name) for name in seen.folders if name not in inside)
    most = max(_BATCH, len(left) // _PIECES)
    return Seen((row,) if row else (), tuple(batches(left, most)), below)


def _as_one(task: Task, seen: Listing) -> Row | None:
    """The row of the folder, or of the file that stands for it. None where its files are models of their own."""
    folder = task.folder
    found = _claimed(folder)
    if found is None or not (seen.files or seen.folders):
        return None
    format, match = found
    try:
        with located(path=folder):
            model = read_as(format, folder, Limits())
    except ModelFileError as error:
        if match.score < _BY_INDEX or _only_below(folder, format) or isinstance(error, UnknownFormatError):
            return None
        suffixes = format.info.suffixes or (".pt",)
        return _broken(folder, folder, [n for n in seen.files if n.endswith(suffixes)], error, format)
    weights = [f.name for f in model.files if f.role != "side"]
    if not weights or _belongs_below(folder, weights, format):
        return None
    alone = len(weights) == 1 and "/" not in weights[0] and not _OF_FOLDERS & {s.name for s in model.sides}
    path = os.path.join(folder, weights[0]) if alone else folder
    return _row(task, path, model)


def _claimed(folder: str) -> tuple[Format, Match] | None:
    try:
        format, match = detect(folder)
    except ModelFileError:
        return None
    return None if format.info.name == _NO_MODEL or match.score < _SURE else (format, match)


class _Direct(FileProbe):
    """A folder as it looks without its sub-folders."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(listing(self.path).files)


def _only_below(folder: str, format: Format) -> bool:
    """Whether what the format knows the folder by lies in sub-folders, which are looked at by themselves."""
    match = format.sniff(_Direct(folder))
    return match is None or match.score < _BY_INDEX


def _belongs_below(folder: str, weights: list[str], format: Format) -> bool:
    """Whether all weights lie in one sub-folder that is the same kind of model by itself: then that is the model."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in weights}
    if len(tops) != 1 or "" in tops:
        return False
    found = _claimed(os.path.join(folder, *tops))
    return found is not None and found[0].info.name == format.info.name


def _file(task: Task, name: str) -> Row | None:
    """The row of a file; None for what is no model."""
    path = os.path.join(task.folder, name)

    def one() -> Row | None:
        if os.path.islink(path) and not link_stays(path, task.root):
            return _foreign_link(task, name)
        files = LocalFiles(path)
        try:
            format, match = registry.detect(FileProbe(path))
            if format.info.name != _NO_MODEL and match.score < _SURE and not may_be_weights(name):
                return None
            with located(path=path):
                return _row(task, path, read_as(format, path, Limits(), files))
        except UnsupportedError as error:
            return _broken(path, task.folder, [name], error)
        except UnknownFormatError as error:
            return _broken(path, task.folder, [name], error) if is_meant(name) else None
        except ModelFileError as error:
            return _broken(path, task.folder, [name], error) if may_be_weights(name) else None
        finally:
            files.close()

    return _guarded(path, task.folder, (name,), one)


def _foreign_link(task: Task, name: str) -> Row | None:
    if not may_be_weights(name):
        return None
    row = Row(os.path.join(task.folder, name), task.folder, _stamps(task.folder, [name]), error_code="unsafe")
    row.error = "is a link that leaves the tree, which was not opened"
    return _stamped(row)


def _row(task: Task, path: str, model: Model) -> Row:
    files = [_stamp(f) for f in model.files]
    tops = {f.name.partition("/")[0] for f in files if f.role == "weights"}
    if path == task.folder:  # what lies in a sub-folder without weights of this model is looked at there
        files = [f for f in files if f.role == "weights" or "/" not in f.name or f.name.partition("/")[0] in tops]
    else:
        files = [f for f in files if f.role == "weights"]
        files += [f._replace(role="side") for f in _stamps(task.folder, [CARD])]  # may say the licence
    row = Row(path, task.folder, tuple(files))
    described(row, model, task.digests, task.known.get(path))
    return _stamped(row)


def _stamp(file: FileRef) -> FileStamp:
    size, mtime_ns, inode = file.stamp
    return FileStamp(file.name, size, mtime_ns, inode, "side" if file.role == "side" else "weights")


def _broken(path: str, folder: str, names: Iterable[str], error: ModelFileError, format: Format | None = None) -> Row:
    row = Row(path, folder, _stamps(folder, names), error=error.what, error_code=error.code)
    row.format = format.info.name if format else None
    return _stamped(row)


def _guarded(path: str, folder: str, names: Iterable[str], make: Callable[[], Row | None]) -> Row | None:
    """A defect of ours costs its row, nothing more."""
    try:
        return make()
    except (RecursionError, MemoryError) as error:
        what = (
            "nested too deeply to be read" if isinstance(error, RecursionError) else "needs more memory than there is"
        )
        return _stamped(Row(path, folder, _stamps(folder, names), error=what, error_code="limit"))
    except Exception as error:
        what = f"reading it failed: {type(error).__name__}, please report it"
        return _stamped(Row(path, folder, _stamps(folder, names), error=what, error_code="error"))


def _stamps(folder: str, names: Iterable[str]) -> tuple[FileStamp, ...]:
    made = []
    for name in names:
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:
            continue
        made.append(FileStamp(name, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(made)


def _stamped(row: Row) -> Row:
    row.seen = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    row.modelglot = made_by()
    return row
