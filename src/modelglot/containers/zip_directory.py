"""The directory of a zip file: end record, zip64 record, central entries. Bytes in, `Member`s out.

Specification: PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3. The central directory is the truth, as it is
for every reader of model files; local headers are compared with it in `modelglot.containers.zip`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.limits import Limits

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
END_SEARCH = 22 + 0xFFFF  # the end record and the longest comment
_ENTRY = struct.Struct("<4x4xHH4xIIIHHH8xI")  # flags method crc stored size name extra comment local-offset
_END = struct.Struct("<4xHHHHIIH")
_END64 = struct.Struct("<4xQ4xIIQQQQ")
_FLAGS_ENCRYPTED = 0x1 | 0x40 | 0x2000


class Member(NamedTuple):
    """One entry. ``header``: offset of its local header; ``stored``, ``size``: bytes in the file and inflated.

    ``codec`` is raw or deflate, or says why the bytes cannot be had: ``encrypted``, ``method 99``.
    """

    name: str
    header: int
    stored: int
    size: int
    crc: int
    codec: str


@dataclass(frozen=True, slots=True)
class End:
    """Where the central directory lies in the file, and what the bytes around it say."""

    offset: int  # of the directory, in the file
    size: int
    count: int
    shift: int  # bytes before the archive, which every stored offset leaves out
    trailing: int  # bytes after the end record and its comment


def find_end(pread: Callable[[int, int], bytes], size: int) -> End:
    """The end record: the last one in the file, as loaders take it.

    Raises DamagedFileError where there is none (an incomplete download) and InvalidFileError where its numbers
    contradict the file.
    """
    start = max(0, size - END_SEARCH)
    tail = pread(start, size - start)
    found = tail.rfind(END, 0, max(0, len(tail) - 18))
    if found < 0:
        raise DamagedFileError(
            "the zip directory at the end is missing",
            offset=size,
            detail=f"no end record in the last {len(tail):,} bytes; the file has {size:,}",
            hint="the download may be incomplete",
        )
    at = start + found
    disk, directory_disk, _here, count, length, offset, comment = _END.unpack_from(tail, found)
    end = at
    if at >= 20 and (at - start >= 20 or start == 0) and tail[found - 20 : found - 16] == LOCATOR64:
        end, disk, directory_disk, count, length, offset = _find_end64(pread, size, at - 20)
    if disk or directory_disk:
        raise InvalidFileError("the zip is one part of a set of several files", offset=at)
    shift = end - length - offset
    if shift < 0:
        raise InvalidFileError(
            "the zip directory does not fit before the end record",
            offset=at,
            detail=f"{length:,} bytes at {offset:,}; the end record is at {end:,}",
        )
    return End(offset + shift, length, count, shift, max(0, size - at - 22 - comment))


def _find_end64(pread: Callable[[int, int], bytes], size: int, locator: int) -> tuple[int, int, int, int, int, int]:
    (stated,) = struct.unpack_from("<8xQ", pread(locator, 20))
    for at in (stated, locator - 56):
        if 0 <= at <= locator - 56 and pread(at, 4) == END64:
            record, disk, directory_disk, _here, count, length, offset = _END64.unpack(pread(at, 56))
            if at + 12 + record != locator:
                raise InvalidFileError("the zip64 end record does not reach its locator", offset=at)
            return at, disk, directory_disk, count, length, offset
    raise InvalidFileError(
        "the zip64 locator points to no zip64 end record",
        offset=locator,
        detail=f"it names byte {stated:,}; the file has {size:,}",
    )


def parse(data: bytes, end: End, limits: Limits) -> list[Member]:
    """All entries, in stored order. The count and the length of the directory must agree with the end record."""
    if end.count * 46 > len(data):
        raise InvalidFileError(
            f"{end.count:,} zip entries cannot lie in a directory of {len(data):,} bytes", offset=end.offset
        )
    limits.check("entries", end.count, "zip entries", offset=end.offset)
    members: list[Member] = []
    add, unpack, starts, shift = members.append, _ENTRY.unpack_from, data.startswith, end.shift
    at, stop = 0, len(data)
    for _ in range(end.count):
        if not starts(CENTRAL, at) or at + 46 > stop:
            raise InvalidFileError(
                "a zip directory entry does not start with its signature",
                offset=end.offset + at,
                detail=f"entry {len(members):,} of {end.count:,}",
            )
        flags, method, crc, stored, size, name_length, extra_length, comment, header = unpack(data, at)
        middle = at + 46 + name_length
        after = middle + extra_length + comment
        if after > stop:
            raise InvalidFileError("a zip directory entry is longer than the directory", offset=end.offset + at)
        raw = data[at + 46 : middle]
        name = raw.decode() if raw.isascii() and raw and b"\0" not in raw else _decode(raw, flags, end.offset + at)
        if stored == 0xFFFFFFFF or size == 0xFFFFFFFF or header == 0xFFFFFFFF:
            extra = data[middle : middle + extra_length]
            stored, size, header = _zip64(extra, stored, size, header, name, end.offset + at)
        codec = "raw" if method == 0 else "deflate" if method == 8 else f"method {method}"
        if flags & _FLAGS_ENCRYPTED:
            codec = "encrypted"
        elif method == 0 and stored != size:
            raise InvalidFileError(
                f"is stored as it is, but in {stored:,} bytes and not {size:,}", member=name, offset=end.offset + at
            )
        add(Member(name, header + shift, stored, size, crc, codec))
        at = after
    if at != stop:
        raise InvalidFileError(
            f"the zip directory has {stop - at:,} bytes more than its {end.count:,} entries", offset=end.offset + at
        )
    return members


def _decode(raw: bytes, flags: int, offset: int) -> str:
    """Names are UTF-8 with flag 11, and in practice also without it; cp437 is what is left."""
    if b"\0" in raw or not raw:
        raise InvalidFileError("a zip member has no name, or one with a NUL", offset=offset)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if flags & 0x800:
            raise InvalidFileError("a zip member's name is not UTF-8", offset=offset) from None
        return raw.decode("cp437")


def _zip64(extra: bytes, stored: int, size: int, header: int, name: str, offset: int) -> tuple[int, int, int]:
    """The 64-bit numbers that stand in for fields of all ones, in the order of the specification."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == 1:
            wide = [v for (v,) in struct.iter_unpack("<Q", body[: len(body) // 8 * 8])]
            try:
                size = wide.pop(0) if size == 0xFFFFFFFF else size
                stored = wide.pop(0) if stored == 0xFFFFFFFF else stored
                header = wide.pop(0) if header == 0xFFFFFFFF else header
            except IndexError:
                raise InvalidFileError("the zip64 sizes are cut off", member=name, offset=offset) from None
            break
        at += 4 + length
    return stored, size, header


def visible_names(head: bytes, tail: bytes) -> list[str]:
    """Member names that the first and the last bytes of a file show; for sniffing, so nothing is checked."""
    names: dict[str, None] = {}
    if head[:4] == LOCAL and len(head) > 30:
        (length,) = struct.unpack_from("<H", head, 26)
        names[head[30 : 30 + length].decode("utf-8", "replace")] = None
    at = tail.find(CENTRAL)
    while at >= 0 and at + 46 <= len(tail):
        length, extra, comment = struct.unpack_from("<HHH", tail, at + 28)
        names[tail[at + 46 : at + 46 + length].decode("utf-8", "replace")] = None
        following = at + 46 + length + extra + comment
        at = following if tail[following : following + 4] == CENTRAL else tail.find(CENTRAL, at + 4)
    return list(names)
