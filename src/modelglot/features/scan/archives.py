"""Zip and tar files: every member that a loader could take, whatever the headers disagree about.

The central directory is the truth for loaders. Where it does not read, or local headers tell another story, members
are looked for by their local headers too. Records of tensors are not read: no loader unpickles them.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

from modelglot.containers import tar
from modelglot.containers.pickle.window import Window
from modelglot.containers.zip import Archive, Member
from modelglot.containers.zip_directory import END, END_SEARCH, LOCAL
from modelglot.core.errors import ModelFileError, printable
from modelglot.core.limits import MIB
from modelglot.core.notes import Finding
from modelglot.features.scan.piece import Piece

Parts = Iterator["Piece | Finding"]
_RECORD = re.compile(r"([^/]+)/(?:data|constants|xl_data)/\d+|(?:[^/]+/)?\.data/\d+\.storage|([^/]+)/tensors/\d+")
_HEADER = struct.Struct("<4s2xHH4xIIIHH")
_SEARCHED = 64 * MIB  # of a zip whose directory cannot be believed
_PLAIN_NOTES = ("zip-duplicate",)  # said here, with the name


class Part:
    """A window as the `Source` that containers read."""

    def __init__(self, window: Window, path: str) -> None:
        self._window, self.path, self.size = window, path, window.length

    def pread(self, offset: int, length: int) -> bytes:
        return self._window.read(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self._window.read(offset, len(buffer))


def sub(window: Window, at: int, length: int) -> Window:
    """Bytes of a window as a window."""
    if window.source is None:
        return Window(data=window.data[at : at + length])
    return Window(window.source, window.offset + at, length)


def is_zip(piece: Piece, head: bytes) -> bool:
    """By its end: what comes before the archive does not matter to those who load it."""
    if head[:4] == LOCAL:
        return True
    length = min(piece.window.length, END_SEARCH)
    return END in piece.window.read(piece.window.length - length, length)


def zip_parts(piece: Piece) -> Parts:
    source = Part(piece.window, piece.path)
    try:
        archive = Archive(source, piece.limits)
    except ModelFileError as error:
        yield piece.incomplete(f"the zip cannot be read: {error.what}", error.offset)
        yield from _by_headers(piece, set())
        return
    names = {m.name for m in archive.members}
    kind = "torchscript" if any(n.endswith("/constants.pkl") for n in names) else "zip"
    seen: set[str] = set()
    for member in archive.members:
        if member.name in seen:
            shown = printable(member.name, code=True)
            yield piece.unknown("zip-duplicate", f"two members are called {shown}: readers differ in which they take")
        seen.add(member.name)
        if not member.name.endswith("/") and not _is_record(member.name, names):
            yield from _member(piece, archive, member, kind)
    if any(n.endswith(".data/extern_modules") for n in names):
        yield piece.unknown(
            "python-code", "a torch.package: it holds Python code, which is run when it is loaded",
            None, "`modelglot convert` keeps the tensors and leaves the code",
        )  # fmt: skip
    for note in archive.notes:
        if note.code not in _PLAIN_NOTES and not (note.code == "zip-prefix" and piece.name.endswith(".distcp")):
            yield piece.unknown(note.code, note.text)
    if any(note.code == "zip-headers" for note in archive.notes):
        yield from _by_headers(piece, {member.header for member in archive.members if member.codec == "raw"})
    yield from _around(piece, archive)


def _around(piece: Piece, archive: Archive) -> Parts:
    """What lies before and after the archive, which some readers take instead."""
    first = min((m.header for m in archive.members), default=0)
    if first > 3:
        yield piece.below("before the archive", sub(piece.window, 0, first), "zip")
    tail = archive.trailing
    if tail > 3:
        yield piece.below("after the archive", sub(piece.window, piece.window.length - tail, tail), "zip")


def _is_record(name: str, names: set[str]) -> bool:
    found = _RECORD.fullmatch(name)
    if found is None:
        return False
    root = found[1] or found[2]
    return root is None or f"{root}/data.pkl" in names or f"{root}/constants.pkl" in names


def _member(piece: Piece, archive: Archive, member: Member, kind: str) -> Parts:
    inner = piece.below(member.name, Window(), kind)
    try:
        if member.codec == "raw":
            window = sub(piece.window, archive.start(member), member.stored)
            if member.size <= _CHECKED and zlib.crc32(window.read(0, member.size)) != member.crc:
                yield inner.unknown("zip-checksum", "does not match its CRC-32, which most loaders do not look at")
        elif member.codec in _OTHER:
            data = sub(piece.window, archive.start(member), member.stored).read(0, member.stored)
            window = Window(data=_inflated(member.codec, data, piece.limits.member))
        else:
            window = Window(data=archive.read(member))
    except ModelFileError as error:
        yield inner.incomplete(f"cannot be read: {error.what}", error.offset)
        if member.codec == "deflate":
            yield from _as_far(inner, archive, member)
        return
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        yield inner.incomplete(f"cannot be read: {error}")
        return
    yield piece.below(member.name, window, kind)


_CHECKED = 1 * MIB  # members whose CRC-32 is computed; `verify` does it for all


def _as_far(inner: Piece, archive: Archive, member: Member) -> Parts:
    """A damaged member as far as it inflates."""
    try:
        raw = archive.source.pread(archive.start(member), min(member.stored, _CHECKED))
        made = zlib.decompressobj(-15).decompress(raw, 16 * MIB)
    except (ModelFileError, zlib.error):
        return
    yield Piece(inner.path, inner.name, Window(data=made), inner.limits, inner.member, inner.inside, inner.depth)


def _lzma_member(data: bytes, most: int) -> bytes:
    size = int.from_bytes(data[2:4], "little")
    chosen = lzma._decode_filter_properties(lzma.FILTER_LZMA1, data[4 : 4 + size])  # type: ignore[attr-defined]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chosen]).decompress(data[4 + size :], most)


_OTHER: dict[str, Callable[[bytes, int], bytes]] = {
    "method 12": lambda data, most: bz2.BZ2Decompressor().decompress(data, most),
    "method 14": _lzma_member,
}


def _inflated(codec: str, data: bytes, most: int) -> bytes:
    return _OTHER[codec](data, most)


def _by_headers(piece: Piece, known: set[int]) -> Parts:
    """Members by their local headers, where the directory does not tell of them or tells something else."""
    data = piece.window.read(0, min(piece.window.length, _SEARCHED))
    starts = [m.start() for m in re.finditer(re.escape(LOCAL), data)]
    for number, at in enumerate(starts):
        if at in known or at + 30 > len(data):
            continue
        _, flags, method, _crc, stored, _size, name_length, extra = _HEADER.unpack_from(data, at)
        name = data[at + 30 : at + 30 + name_length].decode("utf-8", "replace")
        begin = at + 30 + name_length + extra
        end = starts[number + 1] if number + 1 < len(starts) else len(data)
        body = data[begin : min(end, begin + stored) if stored and not flags & 8 else end]
        if method == 8 or (method and body[:1] != b"\x80"):
            with suppress(zlib.error):
                body = zlib.decompressobj(-15).decompress(body, piece.limits.member)
        if body and not name.endswith("/") and (len(body) < _CHECKED or body[:1] == b"\x80"):
            yield piece.below(f"{name} (by its local header)", Window(data=body), "zip")
    if piece.window.length > _SEARCHED:
        yield piece.incomplete(f"only the first {_SEARCHED:,} bytes were searched for members")


def tar_parts(piece: Piece) -> Parts:
    for member in tar.walk(Part(piece.window, piece.path), piece.limits):
        inner = piece.below(member.name, Window(), "tar")
        if member.kind == "link":
            yield inner.unsafe("tar-link", "a link, which an extractor would follow")
        elif member.kind == "file":
            if member.name.startswith("/") or ".." in member.name.split("/"):
                yield inner.unsafe("tar-path", "its name leads out of the folder an extractor writes to")
            yield piece.below(member.name, sub(piece.window, member.offset, member.size), "tar")
        elif member.kind == "other" and member.size:
            yield piece.below(member.name, sub(piece.window, member.offset, member.size), "tar")


def is_tar(piece: Piece, head: bytes) -> bool:
    """By the checksum of its first header, which also files from before POSIX have."""
    if head[257:262] == b"ustar":
        return True
    field = head[148:156].split(b"\0")[0].strip()
    if len(head) < 512 or not head[0] or not field.isdigit() or not all(0x30 <= c <= 0x37 for c in field):
        return False
    return int(field, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:])
