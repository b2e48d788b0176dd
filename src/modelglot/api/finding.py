"""Which models are in a folder: the one way in which a tree is taken apart, whoever asks and wherever it lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from modelglot.api.reading import detect, read_as
from modelglot.core.errors import (
    CannotOpenError,
    LimitError,
    ModelFileError,
    UnknownFormatError,
    UnsafeContentError,
    UnsupportedError,
    located,
)
from modelglot.core.format import Format, Match
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.features.catalog.names import is_meant, is_plain, may_be_weights
from modelglot.features.catalog.tree import Listing, address, listing, without
from modelglot.formats import registry
from modelglot.sources.file import link_stays
from modelglot.sources.opening import is_remote, open_files, probe

_SURE = 60  # below, a format only guesses
_BY_INDEX = 88  # a folder of which a format knows the index or the marks, not just a suffix
_NO_MODEL = "not-a-model"
_OF_FOLDERS = frozenset(["config.json", "model_index.json"])  # beside weights: the folder is what people call the model
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """``names`` are files to look at; None is the folder itself, to be told what is in it. ``root`` is the tree.

    ``whole`` is False for a folder that is not to be read as one model. ``exclude`` are names that are passed over.
    """

    root: str
    folder: str
    names: tuple[str, ...] | None = None
    whole: bool = True
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A model, or what is meant to be one and has an ``error``. ``files`` are names in the folder with their roles,
    weights or side."""

    path: str
    folder: str
    files: Mapping[str, str] = field(default_factory=dict)
    format: Format | None = None
    match: Match | None = None
    model: Model | None = None
    error: ModelFileError | None = None

    @property
    def weights(self) -> list[str]:
        return [name for name, role in self.files.items() if role == "weights"]


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """``made`` of what was found. ``owned`` are paths of the files of models; ``left`` names of files that may be
    models of their own; ``below`` the sub-folders to go into."""

    made: tuple[T, ...] = ()
    owned: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


def look(task: Task, make: Callable[[Found], T | None], limits: Limits | None = None) -> Seen[T]:
    """Never raises for what is in a file: it is found with its error. ``make`` is called while files can be read."""
    bounds = limits or Limits()
    if task.names is None:
        with without(task.exclude):
            return _folder(task, make, bounds)
    made: list[T] = []
    owned: set[str] = set()
    for name in task.names:
        if name in owned:
            continue
        path = os.path.join(task.folder, name)
        found, one = _guarded(path, task.folder, (name,), partial(_file, task, name, bounds), make)
        if one is not None:
            made.append(one)
        if found is not None:
            owned.update(found.weights)
    return Seen(tuple(made), tuple(os.path.join(task.folder, name) for name in owned))


def smaller(task: Task) -> list[Task]:
    """What to look at instead where a task killed its process: single files, a folder's files one by one. Empty where
    it cannot be less."""
    if task.names is None:
        return [replace(task, whole=False)] if task.whole else []
    return [replace(task, names=(name,)) for name in task.names] if len(task.names) > 1 else []


def lost(task: Task, error: Exception) -> Found:
    """A file, or a folder, whose process died."""
    what = error.what if isinstance(error, ModelFileError) else f"{type(error).__name__}, please report it"
    names = task.names or ()
    path = os.path.join(task.folder, *names) if names else address(task.folder)
    return _broken(path, task.folder, names, ModelFileError(what))


def _folder(task: Task, make: Callable[[Found], T | None], limits: Limits) -> Seen[T]:
    """The folder as one model where a format says so, and what is left of it."""
    seen, path = listing(task.folder), address(task.folder)
    if seen.error is not None:
        error = CannotOpenError(f"cannot be listed: {seen.error}")
        one = make(_broken(path, task.folder, (), error))
        return Seen(() if one is None else (one,))
    found, one = None, None
    if task.whole:
        found, one = _guarded(path, task.folder, (), partial(_as_one, task, seen, limits), make)
    taken = found.files if found is not None else {}
    weights = found.weights if found is not None else []
    far = is_remote(task.folder)
    inside = {name.partition("/")[0] for name in weights if "/" in name}
    return Seen(
        () if one is None else (one,),
        tuple(os.path.join(task.folder, name) for name in weights),
        tuple(name for name in seen.files if name not in taken and not (far and is_plain(name))),
        tuple(os.path.join(task.folder, name) for name in seen.folders if name not in inside),
    )


def _as_one(task: Task, seen: Listing, limits: Limits) -> Found | None:
    """The folder, or the file that stands for it. None where its files are models of their own."""
    folder, path = task.folder, address(task.folder)
    claimed = _claimed(path)
    if claimed is None or not (seen.files or seen.folders):
        return None
    format, match = claimed
    try:
        with located(path=path):
            model = read_as(format, path, limits)
    except ModelFileError as error:
        if match.score < _BY_INDEX or _only_below(folder, format) or isinstance(error, UnknownFormatError):
            return None
        suffixes = format.info.suffixes or (".pt",)
        return _broken(path, folder, [n for n in seen.files if n.endswith(suffixes)], error, format)
    weights = [f.name for f in model.files if f.role != "side"]
    if not weights or _belongs_below(folder, weights, format):
        return None
    alone = len(weights) == 1 and "/" not in weights[0] and not _OF_FOLDERS & {s.name for s in model.sides}
    if alone:
        return Found(os.path.join(folder, weights[0]), folder, _roles(model, whole=False), format, match, model)
    return Found(path, folder, _roles(model, whole=True), format, match, model)


def _roles(model: Model, *, whole: bool) -> dict[str, str]:
    """Files of the model. Of a whole folder also its side files, without those of a sub-folder that has no weights of
    this model: what lies there is looked at there."""
    tops = {f.name.partition("/")[0] for f in model.files if f.role != "side"}
    return {
        f.name: "side" if f.role == "side" else "weights"
        for f in model.files
        if f.role != "side" or (whole and ("/" not in f.name or f.name.partition("/")[0] in tops))
    }


def _claimed(path: str) -> tuple[Format, Match] | None:
    try:
        format, match = detect(path)
    except ModelFileError:
        return None
    return None if format.info.name == _NO_MODEL or match.score < _SURE else (format, match)


class _Direct:
    """A folder as it looks without its sub-folders."""

    size, head, tail, is_folder = 0, b"", b"", True

    def __init__(self, folder: str) -> None:
        self.path, self.name, self.names = folder, os.path.basename(folder), tuple(listing(folder).files)


def _only_below(folder: str, format: Format) -> bool:
    """Whether what the format knows the folder by lies in sub-folders, which are looked at by themselves."""
    match = format.sniff(_Direct(folder))
    return match is None or match.score < _BY_INDEX


def _belongs_below(folder: str, weights: list[str], format: Format) -> bool:
    """Whether all weights lie in one sub-folder that is the same kind of model by itself: then that is the model."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in weights}
    if len(tops) != 1 or "" in tops:
        return False
    found = _claimed(address(os.path.join(folder, *tops)))
    return found is not None and found[0].info.name == format.info.name


def _file(task: Task, name: str, limits: Limits) -> Found | None:
    """A file by itself; None for what is no model."""
    path = os.path.join(task.folder, name)
    if not is_remote(path) and os.path.islink(path) and not link_stays(path, task.root):
        away = UnsafeContentError("is a link that leaves the tree, which was not opened")
        return _broken(path, task.folder, [name], away) if may_be_weights(name) else None
    files = open_files(path)
    try:
        format, match = registry.detect(probe(files, path))
        if format.info.name != _NO_MODEL and match.score < _SURE and not may_be_weights(name):
            return None
        with located(path=path):
            model = read_as(format, path, limits, files)
        return Found(path, task.folder, _roles(model, whole=False), format, match, model)
    except UnsupportedError as error:
        return _broken(path, task.folder, [name], error)
    except UnknownFormatError as error:
        return _broken(path, task.folder, [name], error) if is_meant(name) else None
    except ModelFileError as error:
        return _broken(path, task.folder, [name], error) if may_be_weights(name) else None
    finally:
        files.close()


def _broken(path: str, folder: str, names: Iterable[str], error: ModelFileError, format: Format | None = None) -> Found:
    return Found(path, folder, dict.fromkeys(names, "weights"), format, error=error)


def _guarded(
    path: str, folder: str, names: Iterable[str], find: Callable[[], Found | None], make: Callable[[Found], T | None]
) -> tuple[Found | None, T | None]:
    """A defect of ours costs one model, nothing more."""
    try:
        found = find()
        return found, make(found) if found is not None else None
    except ModelFileError as told:
        error = told
    except RecursionError:
        error = LimitError("nested too deeply to be read")
    except MemoryError:
        error = LimitError("needs more memory than there is")
    except Exception as defect:
        error = ModelFileError(f"reading it failed: {type(defect).__name__}, please report it")
    broken = _broken(path, folder, names, error)
    return broken, make(broken)


__all__ = ["Found", "Seen", "Task", "look", "lost", "smaller"]
