"""The atomic sink: everything is written in a hidden work folder beside the target and renamed into place at the end.

The work folder is ``.NAME.modelglot`` next to the target, or inside of a folder that exists already (a volume may be
mounted there, and no rename leads into one). The next run finds what a killed one left: `--resume` goes on from its
journal, any other run removes it. A lock keeps two writers of one target apart.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from modelglot.core.errors import CannotWriteError, TargetExistsError, printable
from modelglot.sources.file import reason

JOURNAL = "modelglot-journal"


class Sink:
    """One target: a file, or a folder that gets several. Use as a context manager; leaving without `publish` removes
    the work folder, unless ``keep`` was set (then `--resume` can go on)."""

    def __init__(self, target: str, names: list[str], *, folder: bool, force: bool = False) -> None:
        self.target = target.rstrip("/") or target
        for name in names:  # they come from our own layouts; this is the second lock on that door
            if not name or name.startswith("/") or "\0" in name or ".." in name.replace("\\", "/").split("/"):
                raise CannotWriteError(f"{printable(name, code=True)} is no name for an output", path=target)
        self.names = names
        self.folder = folder
        self.keep = False
        self._force = force
        self._check()
        parent, name = os.path.split(os.path.abspath(self.target))
        if folder and names and os.path.isdir(self.target):
            parent, name = os.path.join(parent, name), os.path.basename(names[0])
        self.work = os.path.join(parent, f".{name}.modelglot")
        self._lock = self._inside = -1  # descriptors of the journal and of the work folder
        self._parent: tuple[int, int] | None = None

    def _check(self) -> None:
        if self.folder and os.path.islink(self.target) and not os.path.isdir(self.target):
            raise CannotWriteError("the target is a link to nothing", path=self.target, hint="give another path")
        for path in self._folders():
            if os.path.islink(path):
                raise CannotWriteError("a folder of the target is a link", path=path, hint="remove the link")
        for path in self.outputs():
            if os.path.islink(path):
                raise CannotWriteError("the target is a link", path=path, hint="give the path it points to")
            if os.path.isdir(path):
                raise TargetExistsError("is a folder", path=path, hint="name a file in it, or use `--to FORMAT`")
            if os.path.exists(path) and not self._force:
                raise TargetExistsError("exists already", path=path, hint="`--force` replaces it")
        if self.folder and os.path.exists(self.target) and not os.path.isdir(self.target):
            raise TargetExistsError("is a file, and a folder is needed", path=self.target)

    def outputs(self) -> list[str]:
        """Final paths, in the order in which they are published."""
        return [os.path.join(self.target, n) for n in self.names] if self.folder else [self.target]

    def _folders(self) -> set[str]:
        """Folders that outputs lie in, below the target."""
        below = {os.path.dirname(name) for name in self.names} if self.folder else set[str]()
        parts = (folder.split("/")[:n] for folder in below if folder for n in range(1, folder.count("/") + 2))
        return {os.path.join(self.target, *part) for part in parts}

    def open(self, *, resume: bool) -> bool:
        """Make or take over the work folder. True where there is something to resume. Raises CannotWriteError, and
        TargetExistsError where another run published in the meantime."""
        with writing(self.work):
            os.makedirs(os.path.dirname(self.work), exist_ok=True)
            there = self._own()
            self._parent = _identity(os.stat(os.path.dirname(self.work)))
            if there and not resume:
                self._clear()
        self.keep = there  # what another run left is not ours to remove where this one may not begin
        self._check()
        self.keep = False
        return there and resume

    def _own(self) -> bool:
        """Make the work folder, or take it over, and lock it; True where it was there.

        All that is done in it goes through its descriptor: what is put in its place meanwhile is never written to.
        """
        if os.path.islink(self.work):
            raise CannotWriteError("the work folder is a link", path=self.work, hint="remove it")
        while True:
            there = False
            try:
                os.mkdir(self.work, 0o700)
            except FileExistsError:
                there = True
            with suppress(FileNotFoundError):  # the run that had it ended just now, and took it away
                self._inside = os.open(self.work, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW)
                self._take_lock()
                journal = os.stat(JOURNAL, dir_fd=self._inside)
                if self._in_place() and _identity(journal) == _identity(os.fstat(self._lock)):
                    return there
            self._close()

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOFOLLOW
        self._lock = os.open(JOURNAL, flags, 0o600, dir_fd=self._inside)
        try:
            import fcntl

            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no advisory locks on this system: the renames still are atomic
            pass
        except OSError:
            self._close()
            raise CannotWriteError("another modelglot is writing this target", path=self.target) from None

    def _clear(self) -> None:
        for entry in os.scandir(self._inside):
            if entry.name == JOURNAL:
                os.ftruncate(self._lock, 0)
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.name, dir_fd=self._inside)
            else:
                os.unlink(entry.name, dir_fd=self._inside)

    def path(self, name: str) -> str:
        """Where an output lies until it is published."""
        return os.path.join(self.work, name)

    def create(self, name: str, size: int) -> int:
        """A descriptor of the output, read-write, ``size`` bytes long; contents of an earlier run stay."""
        with writing(self.path(name), need=size), _below(self._inside, name) as (folder, last):
            fd = os.open(last, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o666, dir_fd=folder)
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, size)
            return fd

    def check_in_place(self) -> None:
        """To be asked right before `publish`, which works with paths: raises CannotWriteError where the work folder or
        the one of the target is another than at first, TargetExistsError where a target appeared meanwhile."""
        with writing(self.target):
            for path, same in (
                (self.work, self._in_place()),
                (os.path.dirname(self.work), _identity(os.stat(os.path.dirname(self.work))) == self._parent),
                (self.target, not self.folder or self._is_inside() or not os.path.islink(self.target)),
            ):
                if not same:
                    raise CannotWriteError(
                        "the folder was replaced while it was written to", path=path, hint="nothing was published"
                    )
        self._check()

    def _is_inside(self) -> bool:
        """True where the work folder lies in the target, which was there before."""
        return os.path.dirname(self.work) == os.path.abspath(self.target)

    def _in_place(self) -> bool:
        """False where the path of the work folder leads elsewhere."""
        try:
            return _identity(os.lstat(self.work)) == _identity(os.fstat(self._inside))
        except FileNotFoundError:
            return False

    def check_space(self, need: int) -> None:
        """Refuse early when the disk cannot hold ``need`` more bytes."""
        with writing(self.work):
            status = os.statvfs(self.work)
        free = status.f_bavail * status.f_frsize
        if free < need:
            raise CannotWriteError(
                "the disk is too full", path=self.target, detail=f"needs {need:,} bytes; {free:,} are free"
            )

    def publish(self) -> None:
        """Rename everything into place. The files were synced before; a whole new folder appears in one rename."""
        with writing(self.target):
            self._sync_folder(self.work)
            if self.folder and not os.path.exists(self.target):
                os.unlink(self.path(JOURNAL))
                os.chmod(self.work, 0o777 & ~_umask())
                os.rename(self.work, self.target)
            else:
                pairs = [(self.path(name), final) for name, final in zip(self.names, self.outputs(), strict=True)]
                for made, final in pairs:
                    os.makedirs(os.path.dirname(final) or ".", exist_ok=True)
                    _keep_mode(final, made)
                for made, final in pairs:  # nothing else in between: a kill here leaves old and new files side by side
                    os.replace(made, final)
                for folder in {os.path.dirname(final) or "." for _, final in pairs}:
                    self._sync_folder(folder)
            self._sync_folder(os.path.dirname(self.work))

    @staticmethod
    def _sync_folder(path: str) -> None:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def journal(self) -> int:
        """Descriptor of the journal, append-only."""
        return self._lock

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock >= 0 and not self.keep and self._in_place():  # it has another name where it was published
            shutil.rmtree(self.work, ignore_errors=True)
        self._close()

    def _close(self) -> None:
        for fd in (self._lock, self._inside):
            if fd >= 0:
                os.close(fd)
        self._lock = self._inside = -1


_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def _identity(status: os.stat_result) -> tuple[int, int]:
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


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _keep_mode(old: str, new: str) -> None:
    if os.path.exists(old):
        os.chmod(new, stat.S_IMODE(os.stat(old).st_mode))


@contextmanager
def writing(path: str, *, need: int | None = None) -> Iterator[None]:
    """Turn the system's refusals into CannotWriteError."""
    try:
        yield
    except OSError as error:
        detail = f"needs {need:,} bytes" if need is not None and error.errno == errno.ENOSPC else None
        raise CannotWriteError(f"cannot write: {reason(error)}", path=path, detail=detail) from None


def write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """pwrite until everything is out."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done


def start_writeback() -> Callable[[int, int, int], None]:
    """A function (fd, offset, length) that asks Linux to begin writing dirty pages out, so the last fsync is short."""
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).sync_file_range
        call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    except (ImportError, OSError, AttributeError):
        return lambda fd, offset, length: None
    return lambda fd, offset, length: call(fd, offset, length, 2)  # SYNC_FILE_RANGE_WRITE: start, do not wait
