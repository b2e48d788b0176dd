"""Files in memory as a `FileSet`: a reader under fuzzing touches no disk.

One input is one file, or for a model of several: each begins with its name and a line end, and `BETWEEN` parts them.
Names are part of what is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelglot.core.errors import CannotOpenError, DamagedFileError
from modelglot.core.format import Source
from modelglot.core.model import FileRef

BETWEEN = b"\n=next file=\n"


def pack(files: Mapping[str, bytes]) -> bytes:
    return BETWEEN.join(name.encode() + b"\n" + data for name, data in files.items())


def unpack(data: bytes) -> dict[str, bytes]:
    parts = (part.partition(b"\n") for part in data.split(BETWEEN))
    return {name.decode("utf-8", "replace"): body for name, _, body in parts}


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
    """``primary`` names the file that was given, or is None where a folder was."""

    def __init__(self, files: Mapping[str, bytes], primary: str | None) -> None:
        self.primary = primary
        self.root = ""
        self._sources = {name: Bytes(name, data) for name, data in files.items()}
        self._roles = {primary: "primary"} if primary is not None else {}

    def names(self, depth: int = 1) -> tuple[str, ...]:
        return tuple(n for n in self._sources if n.count("/") < depth)

    def present(self, names: Iterable[str]) -> set[str]:
        return set(names) & set(self.names())

    def open(self, name: str) -> Source:
        if name not in self._sources:
            raise CannotOpenError("no such file", path=name)
        return self._sources[name]

    def index(self, name: str, role: str = "shard") -> int:
        self.open(name)
        self._roles.setdefault(name, role)
        return list(self._roles).index(name)

    def refs(self) -> tuple[FileRef, ...]:
        return tuple(FileRef(n, n, self._sources[n].size, role, None) for n, role in self._roles.items())
