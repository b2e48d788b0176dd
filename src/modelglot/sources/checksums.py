"""Checksums of runs of bytes, by the names that fix-ups use."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from modelglot.core.errors import UnsupportedError

_PIECE = 256 << 10
_DELTA = 0xA282EAD8


def crc32c(data: bytes | memoryview, value: int = 0) -> int:
    """CRC-32C (Castagnoli) of ``data``, going on from ``value``."""
    import google_crc32c

    if isinstance(data, bytes):
        return int(google_crc32c.extend(value, data))
    for at in range(0, len(data), _PIECE):  # the library takes `bytes` only; small copies stay in the cache
        value = google_crc32c.extend(value, bytes(data[at : at + _PIECE]))
    return value


def masked(value: int) -> int:
    """A CRC as LevelDB and TensorFlow store it: turned, and a constant added, so that it may lie in what is checked."""
    return ((value >> 15 | value << 17) + _DELTA) & 0xFFFF_FFFF


def unmasked(value: int) -> int:
    """The inverse of `masked`."""
    turned = (value - _DELTA) & 0xFFFF_FFFF
    return (turned >> 17 | turned << 15) & 0xFFFF_FFFF


class Checksum:
    """A checksum of bytes that come piece by piece: ``crc32`` or ``crc32c-masked``."""

    def __init__(self, kind: str) -> None:
        if kind not in ("crc32", "crc32c-masked"):
            raise UnsupportedError(f"no checksum is called `{kind}`")
        self._kind, self._value = kind, 0

    def update(self, data: bytes | memoryview) -> None:
        self._value = zlib.crc32(data, self._value) if self._kind == "crc32" else crc32c(data, self._value)

    def stored(self) -> bytes:
        """As a file has it: four bytes, little-endian."""
        value = self._value if self._kind == "crc32" else masked(self._value)
        return value.to_bytes(4, "little")


def checksum(kind: str, pieces: Iterable[bytes | memoryview]) -> bytes:
    """The checksum of the pieces one after another, as it is stored."""
    made = Checksum(kind)
    for piece in pieces:
        made.update(piece)
    return made.stored()
