"""Snappy's block format, decoded within limits. Specification: github.com/google/snappy, format_description.txt."""

from __future__ import annotations

from modelglot.core.errors import DamagedFileError
from modelglot.core.limits import Limits


def decode(data: bytes, limits: Limits) -> bytes:
    """The original bytes. Raises DamagedFileError for data that is not whole, LimitError for more than ``header``."""
    size, at = _length(data)
    limits.check("header", size, "a compressed block, decoded")
    made = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                extra = length - 60
                length = int.from_bytes(_take(data, at, extra), "little") + 1
                at += extra
            made += _take(data, at, length)
            at += length
        else:
            if tag & 3 == 1:
                length, extra, high = (tag >> 2 & 7) + 4, 1, (tag >> 5) << 8
            else:
                length, extra, high = (tag >> 2) + 1, 2 if tag & 3 == 2 else 4, 0
            back = high + int.from_bytes(_take(data, at, extra), "little")
            at += extra
            _copy(made, back, length)
        if len(made) > size:
            raise DamagedFileError(f"a compressed block holds more than the {size:,} bytes it says", offset=at)
    if len(made) != size:
        raise DamagedFileError(f"a compressed block holds {len(made):,} bytes where it says {size:,}", offset=at)
    return bytes(made)


def _length(data: bytes) -> tuple[int, int]:
    value = 0
    for at, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value, at + 1
    raise DamagedFileError("a compressed block begins without its length", offset=0)


def _take(data: bytes, at: int, length: int) -> bytes:
    if at + length > len(data):
        raise DamagedFileError(f"a compressed block ends {at + length - len(data):,} bytes early", offset=at)
    return data[at : at + length]


def _copy(made: bytearray, back: int, length: int) -> None:
    """``length`` bytes from ``back`` before the end; where they overlap what is copied, they repeat."""
    if not 0 < back <= len(made):
        raise DamagedFileError(f"a compressed block refers {back:,} bytes back from byte {len(made):,}")
    start = len(made) - back
    run = bytes(made[start : start + length])
    made += (run * (length // len(run) + 1))[:length]
