"""Steps in handfuls: what one worker takes at a time, here or on another machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from modelglot.core.errors import CannotWriteError, located
from modelglot.core.model import FileRef
from modelglot.engine.move import Item, Written, move
from modelglot.engine.pool import kept_pool
from modelglot.sources.sink import write_all, writing

_STEPS = 256  # in a part
_LEAST, _MOST = 32 << 20, 512 << 20  # bytes of a part, unless one tensor has more

Part = tuple[Item, ...]


def parts(items: Iterable[Item], most: int = _LEAST) -> list[Part]:
    """Steps in order, of at most ``most`` bytes together, so that 100,000 small tensors are not 100,000 tasks."""
    found: list[list[Item]] = [[]]
    size = 0
    for item in items:
        if found[-1] and (size + item.step.length > most or len(found[-1]) >= _STEPS):
            found.append([])
            size = 0
        found[-1].append(item)
        size += item.step.length
    return [tuple(part) for part in found if part]


def largest(nbytes: int, workers: int) -> int:
    """Bytes of a part for a cluster: some dozens for each worker, so that all end at about the same time."""
    return min(_MOST, max(_LEAST, nbytes // (workers * 32)))


def part_nbytes(part: Part) -> int:
    return sum(item.step.length for item in part)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The work of another process or machine, as plain data: sources and outputs by the paths that all machines share.

    ``outputs`` are (path, size) of the files of the layout, made before. What it returns is on the disk: files were
    synced and closed, which is also when network file systems show them to others. Doing it twice, or twice at once,
    writes the same bytes to the same places.
    """

    sources: tuple[FileRef, ...]
    outputs: tuple[tuple[str, int], ...]

    def __call__(self, part: Part) -> list[Written]:
        """Raises what `move` does, PlanError for sources that are not those of the plan, CannotWriteError where the
        outputs are not to be seen from here."""
        pool = kept_pool(self.sources)
        fds: dict[int, int] = {}
        written = []
        try:
            for item in part:
                number = item.step.file
                path = self.outputs[number][0]
                if number not in fds:
                    fds[number] = self._opened(number)
                fd = fds[number]
                with located(tensor=item.step.tensor.name), writing(path, need=item.step.length):
                    written.append(move(item, pool, lambda offset, data, fd=fd: write_all(fd, data, offset)))  # type: ignore[misc]
            for number, fd in fds.items():
                with writing(self.outputs[number][0]):
                    os.fsync(fd)
        finally:
            for fd in fds.values():
                os.close(fd)
        pool.check_unchanged()
        return written

    def _opened(self, number: int) -> int:
        path, size = self.outputs[number]
        try:
            fd = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            fd = -1
        if fd < 0 or os.fstat(fd).st_size != size:
            if fd >= 0:
                os.close(fd)
            raise CannotWriteError(
                "a worker does not see the file that it shall write to", path=path,
                hint="the target's folder has to be shared by all machines, under one path",
            )  # fmt: skip
        return fd
