"""Tar files as extents: regular members only, nothing extracted, links never followed.

Specification: POSIX.1-1988 ustar, with GNU and pax long names. Sizes are held against the file before they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.format import Source
from modelglot.core.layout import align
from modelglot.core.limits import Limits

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class TarMember:
    """``kind`` is file, link, folder or other; only files have data: ``size`` bytes at ``offset``."""

    name: str
    kind: str
    offset: int
    size: int


_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "link", b"2": "link", b"5": "folder"}


def members(source: Source, limits: Limits) -> list[TarMember]:
    """All members in stored order. Raises DamagedFileError where one is cut off, InvalidFileError for bad headers."""
    return list(walk(source, limits))


def walk(source: Source, limits: Limits) -> Iterator[TarMember]:
    """`members`, one at a time: those before a damaged one are had."""
    at, long_name, found = 0, "", 0
    while at + _BLOCK <= source.size:
        block = source.pread(at, _BLOCK)
        if not block.strip(b"\0"):
            break
        if _number(block[148:156], at) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            raise InvalidFileError("a tar header does not match its checksum", path=source.path, offset=at)
        size, kind = _number(block[124:136], at), block[156:157]
        start = at + _BLOCK
        if start + size > source.size:
            raise DamagedFileError(
                f"a tar member ends {start + size - source.size:,} bytes after the end of the file",
                path=source.path,
                offset=at,
                hint="the download may be incomplete",
            )
        at = align(start + size, _BLOCK)
        if kind in (b"L", b"x"):
            limits.check("name", size, "a long name in the tar", offset=start)
            long_name = _long(kind, source.pread(start, size)) or long_name
            continue
        name = block[:100].split(b"\0")[0]
        if block[257:262] == b"ustar" and block[345] and block[262:263] == b"\0":
            name = block[345:500].split(b"\0")[0] + b"/" + name
        text = long_name or name.decode("utf-8", "replace")
        found += 1
        limits.check("entries", found, "tar members", offset=at)
        yield TarMember(text.removeprefix("./"), _KINDS.get(kind, "other"), start, size)
        long_name = ""


def _long(kind: bytes, body: bytes) -> str:
    """The name in a GNU ``L`` member, or the ``path`` record of a pax header."""
    if kind == b"L":
        return body.rstrip(b"\0").decode("utf-8", "replace")
    for line in body.split(b"\n"):
        record = line.partition(b" ")[2]
        if record.startswith(b"path="):
            return record[5:].decode("utf-8", "replace")
    return ""


def _number(field: bytes, at: int) -> int:
    """An octal field, or a base-256 one where its first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0")[0].strip()
    if not all(0x30 <= c <= 0x37 for c in text):
        raise InvalidFileError("a number in a tar header is not octal", offset=at)
    return int(text, 8) if text else 0
