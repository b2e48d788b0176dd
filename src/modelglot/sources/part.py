"""A run of bytes of a file, read like a file of its own: an archive inside of another."""

from __future__ import annotations

from modelglot.core.errors import DamagedFileError
from modelglot.core.format import Source


class Part:
    """``length`` bytes at ``offset`` of ``source``. Raises DamagedFileError where they are not there."""

    def __init__(self, source: Source, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > source.size:
            raise DamagedFileError(
                f"a part ends {offset + length - source.size:,} bytes after the end of the file",
                path=source.path,
                offset=offset,
                hint="the download may be incomplete",
            )
        self.path, self.size = source.path, length
        self._source, self._offset = source, offset

    def pread(self, offset: int, length: int) -> bytes:
        self._inside(offset, length)
        return self._source.pread(self._offset + offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._inside(offset, len(buffer))
        self._source.readinto(self._offset + offset, buffer)

    def _inside(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedFileError(
                f"data ends {offset + length - self.size:,} bytes after the end of its part of the file",
                path=self.path,
                offset=self._offset + offset,
            )
