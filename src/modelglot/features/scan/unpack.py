"""The parts of a file that a loader would look at: members of archives, what compression hides, bytes behind a header.

Every layer is opened in memory within limits, nothing is written. What cannot be opened is said, never skipped.
"""

from __future__ import annotations

from collections.abc import Callable

from modelglot.core.errors import ModelFileError
from modelglot.features.scan import lz4
from modelglot.features.scan.archives import Parts, is_tar, is_zip, sub, tar_parts, zip_parts
from modelglot.features.scan.compressed import opener
from modelglot.features.scan.piece import MOST_DEPTH, Piece

_ZFILE = 21  # the header of joblib's first compressed format: a length in hexadecimal


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


def _npy(piece: Piece) -> Parts:
    """An array of objects is a pickle behind the header."""
    head = piece.head(12)
    start = 12 if head[6] > 1 else 10
    length = int.from_bytes(head[8:start], "little")
    piece.limits.check("name", length, "the header of the array")
    header = piece.window.read(start, length)
    described = header.split(b"descr")[-1].split(b"fortran_order")[0].lower()
    if b"o" in described or b"\\" in described:
        at = start + length
        yield piece.below("objects", sub(piece.window, at, piece.window.length - at), "npy")


def _is_zlib(piece: Piece, head: bytes) -> bool:
    return head[:1] in (b"\x78", b"\x58", b"\x48", b"\x68") and len(head) > 2 and head[1] & 32 == 0 and (
        int.from_bytes(head[:2], "big") % 31 == 0
    )  # fmt: skip


_PACKINGS: tuple[tuple[Callable[[Piece, bytes], bool], Callable[[Piece], Parts]], ...] = (
    (lambda piece, head: head[:6] == b"\x93NUMPY" and len(head) > 12, _npy),
    (lambda piece, head: head[:2] == b"\x1f\x8b", opener("gzip")),
    (lambda piece, head: head[:3] == b"BZh", opener("bzip2")),
    (lambda piece, head: head[:6] == b"\xfd7zXZ\0" or head[:3] == b"]\0\0", opener("lzma")),
    (lambda piece, head: head[:4] == b"\x28\xb5\x2f\xfd", opener("zstd")),
    (lambda piece, head: head[:4] == lz4.MAGIC, opener("lz4")),
    (lambda piece, head: head[:2] == b"ZF" and head[2:4] == b"0x", opener("zlib", _ZFILE)),
    (is_zip, zip_parts),
    (is_tar, tar_parts),
    (_is_zlib, opener("zlib")),
)
