"""The parts of a file that a loader would look at: members of archives, what compression hides, bytes behind a header.

Every layer is opened in memory within limits, nothing is written. What cannot be opened is said, never skipped.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator

from modelglot.containers import tar
from modelglot.containers.codecs import inflated
from modelglot.containers.pickle.window import Window
from modelglot.containers.zip import Archive, Member
from modelglot.containers.zip_directory import END, END_SEARCH, LOCAL
from modelglot.core.errors import ModelFileError
from modelglot.core.notes import Finding
from modelglot.features.scan.piece import MOST_DEPTH, Piece

Parts = Iterator["Piece | Finding"]
_DATA = ("/data/", "/tensors/")  # members that hold numbers and are never unpickled


class _Part:
    """A window as the `Source` that containers read."""

    def __init__(self, window: Window, path: str) -> None:
        self._window, self.path, self.size = window, path, window.length

    def pread(self, offset: int, length: int) -> bytes:
        return self._window.read(offset, length)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self._window.read(offset, len(buffer))


def unpack(piece: Piece) -> Parts:
    """The parts inside a part, and findings about how it is packed. A part that is not packed has none."""
    head = piece.head(512)
    opened = next((open_ for fits, open_ in _PACKINGS if fits(piece, head)), None)
    if opened is None:
        return
    if piece.depth >= MOST_DEPTH:
        yield piece.incomplete(f"an archive in {MOST_DEPTH} others is not opened")
        return
    try:
        yield from opened(piece)
    except ModelFileError as error:
        yield piece.incomplete(f"cannot be opened: {error.what}", error.offset)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:  # of bz2 and lzma
        yield piece.incomplete(f"cannot be opened: {error}")


def is_zip(piece: Piece, head: bytes) -> bool:
    """By its end: what comes before the archive does not matter to those who load it."""
    if head[:4] == LOCAL:
        return True
    length = min(piece.window.length, END_SEARCH)
    return END in piece.window.read(piece.window.length - length, length)


def _zip(piece: Piece) -> Parts:
    archive = Archive(_Part(piece.window, piece.path), piece.limits)
    names = [m.name for m in archive.members]
    kind = "torchscript" if any(n.endswith("constants.pkl") for n in names) else "zip"
    seen: set[str] = set()
    for member in archive.members:
        if member.name in seen:
            yield piece.unknown(
                "zip-duplicate", f"two members are called `{member.name}`: readers differ in which they take"
            )
        seen.add(member.name)
        yield from _member(piece, archive, member, kind)
    for note in archive.notes:
        yield piece.unknown(note.code, note.text)


def _member(piece: Piece, archive: Archive, member: Member, kind: str) -> Parts:
    if member.name.endswith("/") or any(part in f"/{member.name}" for part in _DATA):
        return
    inner = piece.below(member.name, Window(), kind)
    try:
        data = archive.read(member)
    except ModelFileError as error:
        yield inner.incomplete(f"cannot be read: {error.what}", error.offset)
        return
    yield piece.below(member.name, Window(data=data), kind)


def _tar(piece: Piece) -> Parts:
    for member in tar.members(_Part(piece.window, piece.path), piece.limits):
        inner = piece.below(member.name, Window(), "tar")
        if member.kind == "link":
            yield inner.unsafe("tar-link", "a link, which an extractor would follow")
        elif member.kind == "file":
            window = piece.window
            data = Window(window.source, window.offset + member.offset, member.size)
            if window.source is None:
                data = Window(data=window.data[member.offset : member.offset + member.size])
            yield piece.below(member.name, data, "tar")


def _compressed(codec: str) -> Callable[[Piece], Parts]:
    def parts(piece: Piece) -> Parts:
        made = bytearray()
        raw = (
            piece.window.read(at, min(1 << 20, piece.window.length - at))
            for at in range(0, piece.window.length, 1 << 20)
        )
        pieces = inflated(codec, raw, 1 << 20) if codec in ("gzip", "zlib", "zstd") else _python(codec, raw)
        for data in pieces:
            made += data
            piece.limits.check("member", len(made), "what the compressed data becomes")
        yield piece.below(f"{codec} data", Window(data=bytes(made)), codec)

    return parts


def _python(codec: str, raw: Iterator[bytes]) -> Iterator[bytes]:
    decoder = bz2.BZ2Decompressor() if codec == "bzip2" else lzma.LZMADecompressor()
    for data in raw:
        while True:
            yield decoder.decompress(data, 1 << 20)
            data = b""
            if decoder.eof or decoder.needs_input:
                break
        if decoder.eof:
            return


def _npy(piece: Piece) -> Parts:
    """An array of objects is a pickle behind the header."""
    head = piece.head(12)
    wide = head[6] > 1
    start = 12 if wide else 10
    length = int.from_bytes(head[8:start], "little")
    piece.limits.check("name", length, "the header of the array")
    header = piece.window.read(start, length)
    if b"O" in header.split(b"descr")[-1].split(b"fortran_order")[0]:
        window, at = piece.window, start + length
        rest = Window(window.source, window.offset + at, window.length - at)
        if window.source is None:
            rest = Window(data=window.data[at:])
        yield piece.below("objects", rest, "npy")


_PACKINGS: tuple[tuple[Callable[[Piece, bytes], bool], Callable[[Piece], Parts]], ...] = (
    (is_zip, _zip),
    (lambda piece, head: head[257:262] == b"ustar", _tar),
    (lambda piece, head: head[:6] == b"\x93NUMPY" and len(head) > 12, _npy),
    (lambda piece, head: head[:2] == b"\x1f\x8b", _compressed("gzip")),
    (lambda piece, head: head[:3] == b"BZh", _compressed("bzip2")),
    (lambda piece, head: head[:6] == b"\xfd7zXZ\0" or head[:3] == b"]\0\0", _compressed("lzma")),
    (lambda piece, head: head[:4] == b"\x28\xb5\x2f\xfd", _compressed("zstd")),
    (lambda piece, head: head[:1] == b"\x78" and len(head) > 2 and int.from_bytes(head[:2], "big") % 31 == 0,
     _compressed("zlib")),
)  # fmt: skip
