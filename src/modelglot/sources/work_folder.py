"""The folder in which outputs lie until they are published: locked, and held by its descriptor.

All that is done in it goes through the descriptor: what somebody puts in its place meanwhile, a link to elsewhere for
instance, is neither emptied nor written to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modelglot.core.errors import CannotWriteError

JOURNAL = "modelglot-journal"
_TRIES = 100
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class WorkFolder:
    """``journal`` is a descriptor of the file that is locked, append-only. ``target`` is what it is for, in errors.

    Raises OSError where nothing else is said.
    """

    def __init__(self, path: str, target: str) -> None:
        self.path, self._target = path, target
        self.journal = self._fd = -1
        self._parent: tuple[int, int] | None = None

    def take(self) -> bool:
        """Make the folder, or take it over, and lock it; True where it was there. Raises CannotWriteError where another
        run has it, or where it is a link."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        if os.path.islink(self.path):
            raise CannotWriteError("the work folder is a link", path=self.path, hint="remove it")
        for _ in range(_TRIES):
            there = False
            try:
                os.mkdir(self.path, 0o700)
            except FileExistsError:
                there = True
            with suppress(FileNotFoundError):  # the run that had it ended just now, and took it away
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW)
                self._lock()
                if self.in_place() and identity(os.stat(JOURNAL, dir_fd=self._fd)) == identity(os.fstat(self.journal)):
                    self._parent = identity(os.stat(os.path.dirname(self.path)))
                    return there
            self.close()
        raise CannotWriteError("the work folder does not stay where it is made", path=self.path)

    def _lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOFOLLOW
        self.journal = os.open(JOURNAL, flags, 0o600, dir_fd=self._fd)
        try:
            import fcntl

            fcntl.flock(self.journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no advisory locks on this system: the renames still are atomic
            pass
        except OSError:
            self.close()
            raise CannotWriteError("another modelglot is writing this target", path=self._target) from None

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for entry in os.scandir(self._fd):
            if entry.name == JOURNAL:
                os.ftruncate(self.journal, 0)
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, dir_fd=self._fd)
            else:
                os.unlink(entry.name, dir_fd=self._fd)

    def create(self, name: str, size: int) -> int:
        """A descriptor of a file in it, read-write, ``size`` bytes long; contents of an earlier run stay."""
        with _below(self._fd, name) as (folder, last):
            fd = os.open(last, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o666, dir_fd=folder)
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, size)
            return fd

    def in_place(self) -> bool:
        """False where its path leads elsewhere."""
        try:
            return identity(os.lstat(self.path)) == identity(os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def moved(self) -> str | None:
        """The path that leads elsewhere by now: its own, or that of the folder it was made in."""
        parent = os.path.dirname(self.path)
        if identity(os.stat(parent)) != self._parent:
            return parent
        return None if self.in_place() else self.path

    def remove(self) -> None:
        """Where it still is in its place: it has another name once it was published."""
        with suppress(OSError):
            if self.journal >= 0 and self.in_place():
                shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        for fd in (self.journal, self._fd):
            if fd >= 0:
                os.close(fd)
        self.journal = self._fd = -1


def identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def _below(folder: int, name: str) -> Iterator[tuple[int, str]]:
    """The descriptor of the folder that ``name`` lies in, below ``folder``, and its last part; folders are made."""
    *parts, last = name.split("/")
    opened = []
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=folder)
            opened.append(folder)
        yield folder, last
    finally:
        for fd in opened:
            os.close(fd)
