"""A zip file without its directory: the members that are whole, found from the front by their local headers.

Writers that stream leave sizes out of the local header and put them behind the data (bit 3 of the flags), behind a
signature; PyTorch and Python's zipfile do. Specification: PKWARE APPNOTE 6.3.10, sections 4.3.7 and 4.3.9.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from modelglot.containers.zip_directory import CENTRAL, END, END64, LOCAL, LOCATOR64
from modelglot.core.format import Source
from modelglot.core.layout import align
from modelglot.sources.mended import Mended
from modelglot.sources.part import Part

_LOCAL = struct.Struct("<4s2xHH4xIIIHH")  # signature flags method crc stored size name extra
_ENTRY = struct.Struct("<4sHHHHIIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_DESCRIPTOR = b"PK\x07\x08"
_STREAMED = 0x8
_STEP = 4 << 20
_ALL = 0xFFFFFFFF


class Whole(NamedTuple):
    """A member with all of its bytes; ``header`` is the offset of its local header."""

    name: bytes
    header: int
    method: int
    crc: int
    stored: int
    size: int


Lacking = Callable[[Source, list[Whole]], Iterable[Whole]]  # members that the whole ones of an archive speak of


def archives(source: Source, lacking: Lacking | None = None) -> Iterator[Mended]:
    """The archives of a file, each with a directory of the members that are whole, and of the ``lacking`` ones.

    Each end record closes an archive; what follows the last one is an archive that was cut off.
    """
    for begin, end, closed in _spans(source):
        part = Part(source, begin, end - begin)
        members = list(whole_members(part))
        there, at, patches = {m.name for m in members}, align(end - begin, 64), list[tuple[int, bytes]]()
        for member in [m for m in (lacking(part, members) if lacking else ()) if m.name not in there]:
            head = local(member)
            members.append(member._replace(header=at))
            patches.append((at, head))
            at += len(head) + member.stored
        tail = directory(members, at)
        yield Mended(source, begin, end, at + len(tail), [*patches, (at, tail)], cut=not closed)


def _spans(source: Source) -> Iterator[tuple[int, int, bool]]:
    """(begin, end, whether an end record closes it)."""
    at, begin = 0, 0
    while at < source.size:
        data = source.pread(at, min(_STEP, source.size - at))
        found = data.find(END)
        if found >= 0 and at + found + 22 <= source.size:
            end = at + found + 22
            if source.pread(begin, 4) == LOCAL:
                yield begin, end, True
            begin = at = end
        elif at + len(data) >= source.size:
            break
        else:
            at += len(data) - 3
    if begin < source.size and source.pread(begin, min(4, source.size - begin)) == LOCAL:
        yield begin, source.size, False


def whole_members(source: Source) -> Iterator[Whole]:
    """From the first byte on, up to the first member that is cut off."""
    at = 0
    while at + 30 <= source.size and source.pread(at, 4) == LOCAL:
        _, flags, method, crc, stored, size, name, extra = _LOCAL.unpack(source.pread(at, 30))
        start = at + 30 + name + extra
        if start > source.size:
            return
        title, more = source.pread(at + 30, name), source.pread(at + 30 + name, extra)
        if flags & _STREAMED:
            found = _described(source, start)
            if found is None:
                return
            crc, stored, size, end = found
        else:
            stored, size = _wide(more, stored, size)
            end = start + stored
        if end > source.size:
            return
        yield Whole(title, at, method, crc, stored, size)
        at = end


def _wide(extra: bytes, stored: int, size: int) -> tuple[int, int]:
    """Sizes of the zip64 extra field, where the header has none."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1 and length >= 16 and stored == _ALL:
            size, stored = struct.unpack_from("<QQ", extra, at + 4)
        at += 4 + length
    return stored, size


def _described(source: Source, start: int) -> tuple[int, int, int, int] | None:
    """(crc, stored, size, end) of streamed data: the first descriptor that says the length up to itself."""
    at = start
    while at < source.size:
        data = source.pread(at, min(_STEP, source.size - at))
        found = data.find(_DESCRIPTOR)
        while found >= 0:
            place = at + found
            for layout, length in (("<4xIII", 16), ("<4xIQQ", 24)):
                if place + length <= source.size:
                    crc, stored, size = struct.unpack(layout, source.pread(place, length))
                    if stored == place - start:
                        return crc, stored, size, place + length
            found = data.find(_DESCRIPTOR, found + 1)
        if at + len(data) >= source.size:
            return None
        at += len(data) - 3  # a signature may lie across the step
    return None


def directory(members: Iterable[Whole], offset: int) -> bytes:
    """A central directory and its end record, for the place ``offset``. Members lie in the first 4 GiB or zip64 says
    where."""
    made, count = bytearray(), 0
    for name, header, method, crc, stored, size in members:
        large = max(header, stored, size) >= _ALL
        extra = struct.pack("<HHQQQ", 1, 24, size, stored, header) if large else b""
        sizes = (_ALL, _ALL) if large else (stored, size)
        made += _ENTRY.pack(
            CENTRAL, 45, 45, 0, method, 0, crc, *sizes, len(name), len(extra), 0, 0, 0, 0, _ALL if large else header
        )
        made += name + extra
        count += 1
    end64 = struct.pack("<4sQHHIIQQQQ", END64, 44, 45, 45, 0, 0, count, count, len(made), offset)
    locator = struct.pack("<4sIQI", LOCATOR64, 0, offset + len(made), 1)
    end = _END.pack(END, 0, 0, 0xFFFF, 0xFFFF, _ALL, _ALL, 0)
    return bytes(made + end64 + locator + end)


def local(member: Whole) -> bytes:
    """A local header for a member whose data follows."""
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.stored)
    return struct.pack(
        "<4sHHHHHIIIHH", LOCAL, 45, 0, 0, 0, 0, member.crc, _ALL, _ALL, len(member.name), len(extra)
    ) + member.name + extra  # fmt: skip
