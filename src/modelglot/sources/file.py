"""Local files, read with pread only: nothing is mapped, nothing is opened for writing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from modelglot.core.errors import CannotOpenError, DamagedFileError, UnsafeContentError
from modelglot.core.lazy import lazy
from modelglot.core.model import FileRef
from modelglot.sources.names import check_name

HEAD, TAIL = 4096, 65536
MOST_OPEN = 256  # files at a time: checkpoints in folders can have thousands, systems allow 1,024


class FileSource:
    """One open regular file. Closes with `close`, with ``with``, or when collected."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
            status = os.fstat(self._fd)
        except OSError as error:
            raise CannotOpenError(f"cannot open: {reason(error)}", path=path) from None
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise CannotOpenError("not a regular file", path=path)
        self.size = status.st_size
        self.stamp = (status.st_size, status.st_mtime_ns, status.st_ino)

    def changed(self) -> bool:
        """Whether the file is another one than when it was opened."""
        status = os.fstat(self._fd)
        return (status.st_size, status.st_mtime_ns, status.st_ino) != self.stamp

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes at ``offset``. Nothing is allocated before both were held against the size."""
        self._inside(offset, length)
        try:
            data = os.pread(self._fd, length, offset)
            while len(data) < length:  # a signal, or more than the system hands out at once
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    raise DamagedFileError("the file became shorter while it was read", path=self.path)
                data += more
        except OSError as error:
            raise CannotOpenError(f"read error: {reason(error)}", path=self.path, offset=offset) from None
        return data

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``."""
        self._inside(offset, len(buffer))
        done = 0
        try:
            while done < len(buffer):
                got = os.preadv(self._fd, [buffer[done:]], offset + done)
                if got == 0:
                    raise DamagedFileError("the file became shorter while it was read", path=self.path)
                done += got
        except OSError as error:
            raise CannotOpenError(f"read error: {reason(error)}", path=self.path, offset=offset) from None

    def _inside(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            past = offset + length - self.size
            raise DamagedFileError(
                f"data ends {past:,} bytes after the end of the file",
                path=self.path,
                offset=offset,
                detail=f"needs bytes {offset:,}-{offset + length:,}; the file has {self.size:,}",
                hint="the download may be incomplete",
            )

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class FileProbe:
    """What a sniffer may see of a path; a folder has no bytes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_folder = os.path.isdir(path)
        self.name = os.path.basename(os.path.normpath(path))
        self.size = 0
        if not self.is_folder:
            with FileSource(path) as source:
                self.size = source.size

    @lazy
    def names(self) -> tuple[str, ...]:
        return list_names(self.path if self.is_folder else os.path.dirname(os.path.abspath(self.path)))

    @lazy
    def head(self) -> bytes:
        return self._read(0)

    @lazy
    def tail(self) -> bytes:
        return self._read(max(0, self.size - TAIL), TAIL)

    def _read(self, offset: int, most: int = HEAD) -> bytes:
        if self.is_folder:
            return b""
        with FileSource(self.path) as source:
            return source.pread(offset, min(most, source.size - offset))


class LocalFiles:
    """The `FileSet` of a path: that file and its folder, or a folder."""

    def __init__(self, path: str) -> None:
        folder = os.path.isdir(path)
        self.primary = None if folder else os.path.basename(path)
        self.root = path if folder else os.path.dirname(path)
        self._sources: dict[str, FileSource] = {}
        self._refs: dict[str, FileRef] = {}
        self._numbers: dict[str, int] = {}

    def names(self, depth: int = 1) -> tuple[str, ...]:
        return list_names(self.root or ".", depth)

    def present(self, names: Iterable[str]) -> set[str]:
        return set(names) & set(self.names())

    def open(self, name: str) -> FileSource:
        if name not in self._sources:
            if len(self._sources) >= MOST_OPEN:
                del self._sources[next(iter(self._sources))]  # closed once nobody reads from it any more
            self._sources[name] = FileSource(self._resolve(name))
        return self._sources[name]

    def index(self, name: str, role: str = "shard") -> int:
        if name not in self._refs:
            source = self.open(name)
            role = "primary" if name == self.primary else role
            self._refs[name] = FileRef(source.path, name, source.size, role, source.stamp)
            self._numbers[name] = len(self._numbers)
        return self._numbers[name]

    def refs(self) -> tuple[FileRef, ...]:
        return tuple(self._refs.values())

    def close(self) -> None:
        for source in self._sources.values():
            source.close()

    def _resolve(self, name: str) -> str:
        """The path of a name from a file, which may not leave the folder by itself or through a link."""
        parts = check_name(name, self.root)
        path = os.path.join(self.root, *parts)
        linked = os.path.islink(path) or len(parts) > 1  # a folder on the way may be a link as well
        if name != self.primary and linked and not link_stays(path, self.root):
            raise UnsafeContentError("is a link that leaves the folder, which was not opened", path=path)
        return path


def link_stays(path: str, root: str) -> bool:
    """Links inside the folder are fine, and so is the Hugging Face cache's own ``snapshots/* -> ../../blobs/*``."""
    target, home = os.path.realpath(path), os.path.realpath(root or ".")
    if os.path.commonpath([target, home]) == home:
        return True
    parts = home.split(os.sep)
    if "snapshots" not in parts:
        return False
    cache = os.sep.join(parts[: len(parts) - 1 - parts[::-1].index("snapshots")])
    return os.path.dirname(target) == os.path.join(cache, "blobs")


Listed = dict[tuple[str, int], tuple[str, ...]]  # folder and depth -> names
_LISTED: ContextVar[Listed | None] = ContextVar("listed", default=None)


@contextmanager
def listed_once(shared: Listed | None = None) -> Iterator[None]:
    """In this block each folder is listed once: for whoever looks at many files of one folder, one after another.
    ``shared`` is what blocks of other threads know."""
    token = _LISTED.set({} if shared is None else shared)
    try:
        yield
    finally:
        _LISTED.reset(token)


def list_names(folder: str, depth: int = 1) -> tuple[str, ...]:
    """File names in a folder and, as ``sub/name``, in ``depth`` levels of sub-folders; sorted, hidden folders left out.

    A sub-folder that cannot be listed is passed over; links to folders are not followed.
    """
    known = _LISTED.get()
    if known is not None and (folder, depth) in known:
        return known[folder, depth]
    try:
        found = tuple(sorted(_below(folder, "", depth)))
    except OSError as error:
        raise CannotOpenError(f"cannot list: {reason(error)}", path=folder) from None
    if known is not None:
        known[folder, depth] = found
    return found


def _below(folder: str, prefix: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield prefix + entry.name
            elif depth and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                with suppress(OSError):
                    yield from _below(entry.path, f"{prefix}{entry.name}/", depth - 1)


def reason(error: OSError) -> str:
    """The system's own words for an error, in lower case."""
    return (error.strerror or str(error)).lower()
