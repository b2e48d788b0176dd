"""FlatBuffers inside a file: tables, vectors and texts by their offsets, without loading the large vectors.

Every offset is held against the size of the file before it is followed. Offsets of the format point forward only, so
tables have no cycles, but several may share one: who walks vectors of tables bounds their number.
Specification: flatbuffers.dev, "FlatBuffers internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.format import Source
from modelglot.core.limits import Limits

_PAGE, _PAGES = 16 << 10, 256  # bytes of a page, pages held
_SOFFSET = struct.Struct("<i").unpack


class Span(NamedTuple):
    """Bytes in the file: ``length`` of them at ``offset``."""

    offset: int
    length: int


class Buffer:
    """One flatbuffer, at the start of a source. `root` is its first table."""

    __slots__ = ("_pages", "limits", "size", "source")

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source, self.size, self.limits = source, source.size, limits
        self._pages: dict[int, bytes] = {}

    @property
    def root(self) -> Table:
        return Table(self, self.follow(0))

    def read(self, at: int, length: int) -> bytes:
        """Exactly ``length`` bytes. Raises DamagedFileError where they are not all in the file."""
        if at < 0 or at + length > self.size:
            raise DamagedFileError(
                f"an offset leads {at + length - self.size:,} bytes after the end of the file", offset=max(at, 0)
            )
        first, last = at // _PAGE, (at + length - 1) // _PAGE
        if first != last or length > _PAGE:
            return self.source.pread(at, length)
        page = self._pages.get(first)
        if page is None:
            if len(self._pages) >= _PAGES:
                self._pages.clear()
            begin = first * _PAGE
            page = self._pages[first] = self.source.pread(begin, min(_PAGE, self.size - begin))
        begin = at - first * _PAGE
        return page[begin : begin + length]

    def unsigned(self, at: int, width: int = 4) -> int:
        return int.from_bytes(self.read(at, width), "little")

    def follow(self, at: int) -> int:
        """Where the offset at ``at`` leads to."""
        step = self.unsigned(at)
        if step == 0:
            raise InvalidFileError("an offset of zero", offset=at)
        return at + step

    def vector(self, at: int, width: int) -> Span:
        """The elements of the vector at ``at``, ``width`` bytes each."""
        count = self.unsigned(at)
        if at + 4 + count * width > self.size:
            raise DamagedFileError(
                f"a vector of {count:,} elements ends {at + 4 + count * width - self.size:,} bytes after the end "
                "of the file",
                offset=at,
            )
        return Span(at + 4, count * width)


class Table:
    """A table at ``at``. Fields are numbered from 0, as in the schema; one that is not there has its default."""

    __slots__ = ("_fields", "_size", "at", "buffer")

    def __init__(self, buffer: Buffer, at: int) -> None:
        self.buffer, self.at = buffer, at
        (back,) = _SOFFSET(buffer.read(at, 4))
        places = at - back
        head = buffer.read(places, 4)
        length, self._size = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:], "little")
        if length < 4 or length % 2 or self._size < 4:
            raise InvalidFileError("a table of fields that is none", offset=places)
        raw = buffer.read(places + 4, length - 4)
        self._fields = struct.unpack(f"<{len(raw) // 2}H", raw)
        buffer.read(at, self._size)

    def place(self, field: int, width: int = 4) -> int:
        """Where the field lies in the file, 0 where it is not there."""
        offset = self._fields[field] if field < len(self._fields) else 0
        if offset == 0:
            return 0
        if offset < 4 or offset + width > self._size:
            raise InvalidFileError(f"field {field} lies outside its table", offset=self.at)
        return self.at + offset

    def unsigned(self, field: int, width: int = 4, default: int = 0) -> int:
        at = self.place(field, width)
        return self.buffer.unsigned(at, width) if at else default

    def signed(self, field: int, width: int = 4, default: int = 0) -> int:
        at = self.place(field, width)
        return int.from_bytes(self.buffer.read(at, width), "little", signed=True) if at else default

    def table(self, field: int) -> Table | None:
        at = self.place(field)
        return Table(self.buffer, self.buffer.follow(at)) if at else None

    def tables(self, field: int) -> Iterator[Table]:
        """The elements of a vector of tables."""
        span = self.span(field, 4)
        for at in range(span.offset, span.offset + span.length, 4):
            yield Table(self.buffer, self.buffer.follow(at))

    def count(self, field: int) -> int:
        """Elements of a vector of tables."""
        return self.span(field, 4).length // 4

    def text(self, field: int) -> str:
        return str(self._read(self.span(field, 1), "name"), "utf-8", "surrogateescape")

    def numbers(self, field: int, code: str) -> tuple[int, ...]:
        """A vector of numbers; ``code`` is that of `struct`."""
        width = struct.calcsize(f"<{code}")
        raw = self._read(self.span(field, width), "header")
        return struct.unpack(f"<{len(raw) // width}{code}", raw)

    def span(self, field: int, width: int) -> Span:
        """Where the elements of a vector lie; none where the field is not there."""
        at = self.place(field)
        return self.buffer.vector(self.buffer.follow(at), width) if at else Span(0, 0)

    def _read(self, span: Span, limit: str) -> bytes:
        self.buffer.limits.check(limit, span.length, "a vector that has to be read", offset=span.offset)
        return self.buffer.read(span.offset, span.length) if span.length else b""
