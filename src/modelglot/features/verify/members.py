"""CRC-32 of every member of a zip file, a piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from modelglot.containers.codecs import inflated
from modelglot.containers.zip import Archive, Member
from modelglot.core.errors import ModelFileError, located, printable
from modelglot.core.format import Source
from modelglot.core.limits import Limits
from modelglot.features.verify.report import RIGHT, WRONG, Check

_STEP = 4 << 20


def zip_checks(source: Source, limits: Limits) -> Iterator[Check]:
    """One check for all members that are right, and one for each that is wrong."""
    archive = Archive(source, limits)
    right = 0
    for member in archive.members:
        problem = _problem(archive, member)
        if problem is None:
            right += 1
        else:
            yield Check(WRONG, problem, member.name)
    if right:
        yield Check(RIGHT, f"CRC-32 of {right:,} zip members")


def _problem(archive: Archive, member: Member) -> str | None:
    if member.codec not in ("raw", "deflate"):
        return f"stored in a way that is not read: {printable(member.codec)}"
    start, crc, size = archive.start(member), 0, 0
    raw = (archive.source.pread(start + at, min(_STEP, member.stored - at)) for at in range(0, member.stored, _STEP))
    try:
        with located(path=archive.source.path, member=member.name):
            for piece in inflated("deflate", raw, _STEP) if member.codec == "deflate" else raw:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                archive.limits.check("ratio", size // max(1, member.stored), "a member's size for its stored bytes")
    except ModelFileError as error:
        return error.what
    if size != member.size:
        return f"{size:,} bytes and not {member.size:,}"
    return None if crc == member.crc else f"its CRC-32 is {crc:08x}, and the directory says {member.crc:08x}"
