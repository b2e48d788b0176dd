"""A damaged file as its reader would have it: the bytes that are there, and beyond them zeros with patches.

Nothing of the zeros is ever written: tensors that reach into them are marked missing once the file was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelglot.core.errors import DamagedFileError
from modelglot.core.format import FileSet, Source
from modelglot.core.model import FileRef


class Mended:
    """``size`` bytes: those of ``source`` from ``begin`` to ``end``, then zeros, with ``patches`` (offset, bytes).

    ``cut`` where there was more, of which nothing is known.
    """

    def __init__(
        self,
        source: Source,
        begin: int,
        end: int,
        size: int,
        patches: Sequence[tuple[int, bytes]] = (),
        *,
        cut: bool = False,
    ) -> None:
        self.path, self.size, self.cut = source.path, size, cut
        self.begin, self.real = begin, end - begin  # where it starts in its file, and how many bytes it has there
        self._source, self._patches = source, patches

    def pread(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError("data ends after the end of the file", path=self.path, offset=offset)
        there = max(0, min(length, self.real - offset))
        if there == length:
            return self._source.pread(self.begin + offset, length)
        made = bytearray(length)
        if there:
            made[:there] = self._source.pread(self.begin + offset, there)
        for at, data in self._patches:
            low, high = max(at, offset), min(at + len(data), offset + length)
            if low < high:
                made[low - offset : high - offset] = data[low - at : high - at]
        return bytes(made)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.pread(offset, len(buffer))


class MendedFiles:
    """A `FileSet` in which one file is the mended one."""

    def __init__(self, files: FileSet, name: str, source: Mended) -> None:
        self.primary: str | None = name
        self.root = files.root
        self._files, self._name, self._source = files, name, source

    def names(self, depth: int = 1) -> Sequence[str]:
        return self._files.names(depth)

    def present(self, names: Iterable[str]) -> set[str]:
        return self._files.present(names)

    def open(self, name: str) -> Source:
        return self._source if name == self._name else self._files.open(name)

    def index(self, name: str, role: str = "shard") -> int:
        return self._files.index(name, role)

    def refs(self) -> tuple[FileRef, ...]:
        return self._files.refs()
