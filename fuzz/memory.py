"""One file in memory as a `FileSet`: a reader under fuzzing touches no disk."""

from __future__ import annotations

from modelglot.core.errors import CannotOpenError, DamagedFileError
from modelglot.core.format import Source
from modelglot.core.model import FileRef


class Bytes:
    def __init__(self, name: str, data: bytes) -> None:
        self.path, self.size, self._data = name, len(data), data

    def pread(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError("data ends after the end of the file", path=self.path, offset=offset)
        return self._data[offset : offset + length]

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.pread(offset, len(buffer))


class MemoryFiles:
    def __init__(self, name: str, data: bytes) -> None:
        self.primary: str | None = name
        self.root = ""
        self._source = Bytes(name, data)

    def names(self, depth: int = 1) -> tuple[str, ...]:
        return (self._source.path,)

    def open(self, name: str) -> Source:
        if name != self.primary:
            raise CannotOpenError("no such file", path=name)
        return self._source

    def index(self, name: str, role: str = "shard") -> int:
        self.open(name)
        return 0

    def refs(self) -> tuple[FileRef, ...]:
        return (FileRef(self._source.path, self._source.path, self._source.size, "primary", None),)
