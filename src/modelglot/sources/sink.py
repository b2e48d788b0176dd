"""The atomic sink: everything is written in a hidden work folder beside the target and renamed into place at the end.

The work folder is ``.NAME.modelglot`` next to the target, or inside of a folder that exists already (a volume may be
mounted there, and no rename leads into one). The next run finds what a killed one left: `--resume` goes on from its
journal, any other run removes it. A lock keeps two writers of one target apart.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from modelglot.core.errors import CannotWriteError, TargetExistsError, printable
from modelglot.sources.file import reason
from modelglot.sources.work_folder import JOURNAL, WorkFolder


class Sink:
    """One target: a file, or a folder that gets several. Use as a context manager; leaving without `publish` removes
    the work folder, unless ``keep`` was set (then `--resume` can go on)."""

    streams = False  # True: outputs never lie in the work folder

    def __init__(self, target: str, names: list[str], *, folder: bool, force: bool = False) -> None:
        self.target = target.rstrip("/") or target
        if "://" in target:
            raise CannotWriteError("this is written to a path only", path=target, hint="upload it afterwards")
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
        self._inside = WorkFolder(self.work, self.target)

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
            there = self._inside.take()
        self.keep = there  # what another run left is not ours to remove where this one may not begin
        self._check()
        self.keep = False
        if there and not resume:
            with writing(self.work):
                self._inside.clear()
        return there and resume

    def path(self, name: str) -> str:
        """Where an output lies until it is published."""
        return os.path.join(self.work, name)

    def create(self, name: str, size: int) -> int:
        """A descriptor of the output, read-write, ``size`` bytes long; contents of an earlier run stay."""
        with writing(self.path(name), need=size):
            return self._inside.create(name, size)

    def check_in_place(self) -> None:
        """To be asked right before `publish`, which works with paths: raises CannotWriteError where the work folder or
        the one of the target is another than at first, TargetExistsError where a target appeared meanwhile."""
        with writing(self.target):
            moved = self._inside.moved()
        if moved is None and self.folder and self._is_beside() and os.path.islink(self.target):
            moved = self.target
        if moved is not None:
            raise CannotWriteError(
                "the folder was replaced while it was written to", path=moved, hint="nothing was published"
            )
        self._check()

    def _is_beside(self) -> bool:
        """True where the work folder lies beside the target, which was not there, and not in it."""
        return os.path.dirname(self.work) != os.path.abspath(self.target)

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
                for number, (made, final) in enumerate(pairs):
                    os.makedirs(os.path.dirname(final) or ".", exist_ok=True)
                    _keep_mode(final, made)
                    _hold(final, self.path(f"old-{number}"))
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
        return self._inside.journal

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.keep:
            self._inside.remove()
        self._inside.close()


@contextmanager
def replacing(target: str, *, force: bool = False) -> Iterator[str]:
    """The path at which to write one small file; it becomes ``target``, whole, at the end. Raises as `Sink` does."""
    name = os.path.basename(target)
    with Sink(target, [name], folder=False, force=force) as sink:
        sink.open(resume=False)
        with writing(target):
            yield sink.path(name)
        sink.check_in_place()
        sink.publish()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _keep_mode(old: str, new: str) -> None:
    if os.path.exists(old):
        os.chmod(new, stat.S_IMODE(os.stat(old).st_mode))


def _hold(old: str, link: str) -> None:
    """Another name for a file that is about to be replaced: its blocks are freed with the work folder, not between two
    renames, where a kill would leave some files old and some new."""
    with suppress(OSError):  # it is new, or the file system has no hard links
        os.link(old, link, follow_symlinks=False)


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
