"""LZ4 frames, as joblib writes them. Specification: LZ4 frame format 1.6.x, LZ4 block format. Checksums are passed."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.pickle.window import Window
from modelglot.core.errors import DamagedFileError, InvalidFileError

MAGIC = b"\x04\x22\x4d\x18"
_BLOCK = 4 << 20  # the largest the format has
_REACH = 1 << 16


def frames(window: Window) -> Iterator[bytes]:
    """The content of consecutive frames, a block at a time. Raises DamagedFileError, InvalidFileError."""
    at = 0
    while at + 7 <= window.length:
        magic = window.read(at, 4)
        if magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:  # a frame to skip
            at += 8 + int.from_bytes(window.read(at + 4, 4), "little")
            continue
        if magic != MAGIC:
            raise InvalidFileError("bytes after an LZ4 frame are none", offset=at)
        flags = window.read(at + 4, 1)[0]
        if flags >> 6 != 1:
            raise InvalidFileError("an LZ4 frame of another version", offset=at)
        at += 7 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
        history = b""
        while True:
            size = int.from_bytes(window.read(at, 4), "little")
            at += 4
            if not size:
                break
            length = size & 0x7FFFFFFF
            if length > _BLOCK:
                raise InvalidFileError("an LZ4 block is larger than the format allows", offset=at)
            data = window.read(at, length)
            made = data if size >> 31 else block(data, history)
            at += length + (4 if flags & 16 else 0)
            history = b"" if flags & 32 else (history + made)[-_REACH:]
            yield made
        at += 4 if flags & 4 else 0


def block(data: bytes, history: bytes = b"") -> bytes:
    """One block; matches may reach back into ``history``."""
    out, base, at = bytearray(history), len(history), 0
    try:
        while at < len(data):
            token = data[at]
            at += 1
            literals, at = _length(data, at, token >> 4)
            out += data[at : at + literals]
            at += literals
            if at >= len(data):
                break
            back = data[at] | data[at + 1] << 8
            count, at = _length(data, at + 2, token & 15)
            count += 4
            start = len(out) - back
            if start < 0 or not back:
                raise DamagedFileError("an LZ4 match reaches before the data")
            if back >= count:
                out += out[start : start + count]
            else:
                out += (out[start:] * (count // back + 1))[:count]
            if len(out) - base > _BLOCK:
                raise DamagedFileError("an LZ4 block inflates to more than the format allows")
    except IndexError:
        raise DamagedFileError("an LZ4 block is cut off") from None
    return bytes(out[base:])


def _length(data: bytes, at: int, first: int) -> tuple[int, int]:
    if first == 15:
        while True:
            first += data[at]
            at += 1
            if data[at - 1] != 255:
                break
    return first, at
