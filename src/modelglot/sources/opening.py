"""A path or a URL as a source, a set of files, a probe: local files as they are, all else through `remote`."""

from __future__ import annotations

import os

from modelglot.core.errors import CannotOpenError
from modelglot.sources.file import FileProbe, FileSource, LocalFiles
from modelglot.sources.remote.files import RemoteFiles, RemoteProbe
from modelglot.sources.remote.known import ListedSource, source_of
from modelglot.sources.remote.parts import PartSink
from modelglot.sources.remote.sink import RemoteSink
from modelglot.sources.remote.source import RemoteSource
from modelglot.sources.remote.stores import folder_and_name, is_remote
from modelglot.sources.remote.uploads import in_parts
from modelglot.sources.sink import Sink

AnySource = FileSource | RemoteSource | ListedSource
AnyFiles = LocalFiles | RemoteFiles


def open_source(path: str, *, far: bool = True) -> AnySource:
    """``far=False``: readers of a URL shall look at every byte that they look at in a file here.

    Raises CannotOpenError, and MissingExtraError for a URL without `obstore`.
    """
    if not is_remote(path):
        return FileSource(path)
    source = source_of(path, far=far)
    if not isinstance(source, ListedSource):
        return source
    opened = source.opened()
    return opened if opened.far == far else source


def open_files(path: str, *, far: bool = True) -> AnyFiles:
    """The files of a path; ``far`` as in `open_source`."""
    return RemoteFiles(path, far=far) if is_remote(path) else LocalFiles(path)


def open_sink(target: str, names: list[str], *, folder: bool, force: bool = False, stream: bool = False) -> Sink:
    """Where a conversion writes: the disk, or a bucket; ``stream``: in order, so that it needs no disk on the way."""
    kind: type[Sink] = Sink
    if is_remote(target):
        kind = PartSink if stream and in_parts(target) else RemoteSink
    return kind(target, names, folder=folder, force=force)


def probe(files: AnyFiles, path: str) -> FileProbe | RemoteProbe:
    return RemoteProbe(files) if isinstance(files, RemoteFiles) else FileProbe(path)


def is_folder(path: str) -> bool:
    return path.endswith("/") if is_remote(path) else os.path.isdir(path)


def base_name(path: str) -> str:
    """The last part of a path or a URL."""
    if is_remote(path):
        root, name = folder_and_name(path)
        return name or root.rpartition("/")[2]
    return os.path.basename(os.path.normpath(os.path.abspath(path)))


def existing(path: str) -> str:
    """The path, or the index of the checkpoint that TensorFlow means by it: a prefix of files that is none itself.

    Raises CannotOpenError where there is nothing; a URL is only asked for when it is opened.
    """
    if is_remote(path) or os.path.lexists(path):
        return path
    if os.path.lexists(path + ".index"):
        return path + ".index"
    raise CannotOpenError("no such file or folder", path=path)


__all__ = [
    "AnyFiles",
    "AnySource",
    "base_name",
    "existing",
    "is_folder",
    "is_remote",
    "open_files",
    "open_source",
    "probe",
]
