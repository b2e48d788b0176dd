"""Reading a header of unknown length from front to back, through windows that grow with it."""

from __future__ import annotations

from modelglot.core.errors import DamagedFileError, LimitError
from modelglot.core.format import Source

FIRST, MOST = 64 << 10, 1 << 20
_FAR = 8 << 20


class Window:
    """A cursor over the front of a file. ``data[pos:]`` is what was read ahead; ``offset`` is the place in the file.

    Nothing is allocated for a length before it was held against the bytes that are left. ``limit`` bounds the header.
    """

    __slots__ = ("_far", "_next", "data", "limit", "pos", "size", "source", "start")

    def __init__(self, source: Source, limit: int) -> None:
        self.source = source
        self.size = source.size
        self.limit = limit
        self.data = b""
        self.start = 0
        self.pos = 0
        self._next = FIRST
        self._far = bool(getattr(source, "far", False))

    @property
    def offset(self) -> int:
        return self.start + self.pos

    @property
    def left(self) -> int:
        """Bytes from here to the end of the file."""
        return self.size - self.offset

    def need(self, count: int, what: str) -> int:
        """Make ``count`` bytes available at ``pos``, which it returns. Raises DamagedFileError or LimitError."""
        if self.pos + count > len(self.data):
            here = self.offset
            check_inside(here, count, self.size, what)
            if here + count > self.limit:
                raise LimitError(
                    f"the header is longer than the limit of {self.limit:,} bytes",
                    offset=here,
                    hint=f"if the file is trusted, raise it: `--limit header={here + count}`",
                )
            self.data = self.source.pread(here, min(self.size - here, max(count, self._next)))
            self.start, self.pos = here, 0
            self._next = FIRST if self._far else min(self._next * 4, MOST)
        return self.pos

    def expect(self, count: int) -> None:
        """About so many bytes follow: from far away they come in one request, from a disk in windows all the same."""
        if self._far:
            self._next = max(FIRST, min(count + count // 32, _FAR))

    def take(self, count: int, what: str) -> bytes:
        begin = self.need(count, what)
        self.pos = begin + count
        return self.data[begin : begin + count]

    def jump(self, offset: int, what: str) -> None:
        """Go on at ``offset`` of the file, which may lie past what was read ahead."""
        check_inside(self.offset, offset - self.offset, self.size, what)
        if self.start <= offset <= self.start + len(self.data):
            self.pos = offset - self.start
        else:
            self.data, self.start, self.pos = b"", offset, 0

    def between(self, begin: int, end: int) -> bytes:
        """Bytes of the file that were passed already: from the window where they still are, else read again."""
        if begin >= self.start and end <= self.start + len(self.data):
            return self.data[begin - self.start : end - self.start]
        return self.source.pread(begin, end - begin)


def check_inside(offset: int, count: int, size: int, what: str) -> None:
    """Raise DamagedFileError where ``count`` bytes at ``offset`` do not fit in a file of ``size``."""
    if count > size - offset:
        raise DamagedFileError(
            f"{what} ends {offset + count - size:,} bytes after the end of the file",
            offset=offset,
            detail=f"needs {count:,} bytes at byte {offset:,}; the file has {size:,}",
            hint="the download may be incomplete",
        )
