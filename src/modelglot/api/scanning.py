"""scan(): one verdict a file. Nothing is skipped silently, and one bad file never ends the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from modelglot.api import ollama_store
from modelglot.api.reading import PathLike, detect
from modelglot.core.errors import ModelFileError, UnknownFormatError
from modelglot.core.format import Format
from modelglot.core.limits import Limits
from modelglot.core.notes import Finding
from modelglot.core.urls import public
from modelglot.features.scan.known import Allowed, allowances
from modelglot.features.scan.report import CLOSED, INCOMPLETE, UNKNOWN, FileScan, ScanReport
from modelglot.features.scan.scan import scan_file
from modelglot.sources.opening import is_remote, open_files, open_source


def scan(
    paths: PathLike | Iterable[PathLike], *, allow: Iterable[str] = (), limits: Limits | None = None, jobs: int = 2
) -> ScanReport:
    """The verdicts on files, and on all files of folders, in the order of their names.

    ``allow`` vouches for globals (`module.name`, `module.name=called`). Whatever is wrong becomes a finding: a path
    that is not there or cannot be opened gets one of the rule `cannot-open`.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    allowed, bounds = allowances(allow), limits or Limits()
    names = [name for path in given for name in _files(os.fspath(path))]
    if len(names) == 1 or jobs < 2:
        return ScanReport(tuple(_one(name, allowed, bounds) for name in names))
    with ThreadPoolExecutor(jobs) as pool:
        return ScanReport(tuple(pool.map(lambda name: _one(name, allowed, bounds), names)))


def _files(path: str) -> Iterator[str]:
    if path.startswith(ollama_store.SCHEME):
        yield from _loaded(path)
        return
    if not os.path.isdir(path):  # also what is not there: that is said of it
        yield path
        return
    closed: list[OSError] = []
    for folder, below, names in os.walk(path, onerror=closed.append):
        below.sort()
        yield from (os.path.join(folder, name) for name in below if os.path.islink(os.path.join(folder, name)))
        for name in sorted(names):
            yield os.path.join(folder, name)
    yield from (str(error.filename) for error in closed)  # which cannot be opened, and is said to be so


def _loaded(name: str) -> tuple[str, ...]:
    """The blobs of a model of Ollama; its name where it has none, and `_one` says why."""
    try:
        stored = ollama_store.find(name)
    except ModelFileError:
        return (name,)
    return stored.loaded if stored else (name,)


def _one(path: str, allowed: Allowed, limits: Limits) -> FileScan:
    if path.startswith(ollama_store.SCHEME):
        try:
            ollama_store.find(path)
        except ModelFileError as error:
            return FileScan(path, "cannot be opened", (Finding(CLOSED, UNKNOWN, error.what, path),))
    if not is_remote(path) and not os.path.lexists(path):
        return FileScan(path, "not there", (Finding(CLOSED, UNKNOWN, "no such file or folder", path),))
    try:
        source = open_source(path, far=False)
    except ModelFileError as error:
        return FileScan(public(path), "cannot be opened", (Finding(CLOSED, UNKNOWN, error.what, path),))
    files = open_files(path, far=False)
    try:
        return scan_file(source, limits, allowed, _format(path), files)
    except RecursionError:
        return FileScan(public(path), "too deep", (Finding(INCOMPLETE, UNKNOWN, "nested too deeply to be read", path),))
    except Exception as error:  # a defect here: one file never ends a scan
        what = f"the scan failed on it: {type(error).__name__}, please report it"
        return FileScan(public(path), "not recognised", (Finding(INCOMPLETE, UNKNOWN, what, path),))
    finally:
        files.close()
        source.close()


def _format(path: str) -> Format | None:
    try:
        return detect(path)[0]
    except (UnknownFormatError, ModelFileError):
        return None
