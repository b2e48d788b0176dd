"""The writing half of zip: where every byte of an archive goes, before the data is known.

Members are stored, never compressed, with a fixed time stamp, so equal input gives equal bytes. Tensor data is a
`Slot`; its CRC-32 is a `Fixup` in the local header and in the directory. Specification: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from modelglot.core.layout import Fixup, OutFile, Piece, Slot

_MAX = 0xFFFFFFFF
_DATE = 0x21  # 1 January 1980: the earliest a zip can say
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_PAD = 0x4246  # "FB", the id of the padding PyTorch writes


class Entry(NamedTuple):
    """A member to write: ``head`` literal bytes, then, if ``tensor`` is named, its ``length`` bytes.

    The data starts at a multiple of ``alignment``, which is at most 32768.
    """

    name: str
    head: bytes = b""
    tensor: str | None = None
    length: int = 0
    alignment: int = 1


def build(file_name: str, entries: Iterable[Entry]) -> OutFile:
    """The archive ``file_name`` with these members in this order, as pieces, slots and fix-ups."""
    pieces: list[Piece] = []
    slots: list[Slot] = []
    placed: list[tuple[bytes, int, int, int, int]] = []  # name, flags, crc, size, header offset
    waiting: list[tuple[int, int, int, int]] = []  # number, data offset, size, local crc offset
    paddings: dict[int, bytes] = {}
    at = 0
    for called, head, tensor, length, alignment in entries:
        name = called.encode()
        flags = 0 if called.isascii() else 0x800
        size = len(head) + length
        wide = struct.pack("<HHQQ", 1, 16, size, size) if size >= _MAX else b""
        bare = at + 30 + len(name) + len(wide)
        padding = -bare % alignment
        while 0 < padding < 4:  # too narrow for the four bytes that announce it
            padding += alignment
        extra = paddings.get(padding)
        if extra is None:
            pad = struct.pack("<HH", _PAD, padding - 4).ljust(padding, b"Z") if padding else b""
            extra = paddings[padding] = pad
        extra = wide + extra
        start = bare + padding
        crc = 0 if tensor is not None else zlib.crc32(head)
        short = size if size < _MAX else _MAX
        version = 45 if wide else 20
        header = _LOCAL.pack(b"PK\x03\x04", version, flags, 0, 0, _DATE, crc, short, short, len(name), len(extra))
        pieces.append(Piece(at, header + name + extra + head))
        if tensor is not None:
            slots.append(Slot(tensor, start + len(head), length))
            waiting.append((len(placed), start, size, at + 14))
        placed.append((name, flags, crc, size, at))
        at = start + size
    directory, crc_at = _directory(placed, at)
    pieces.append(Piece(at, directory))
    fixups = tuple(Fixup("crc32", start, size, (local, crc_at[number])) for number, start, size, local in waiting)
    return OutFile(file_name, at + len(directory), tuple(pieces), tuple(slots), fixups)


def _directory(placed: list[tuple[bytes, int, int, int, int]], start: int) -> tuple[bytes, list[int]]:
    """Central entries and end records at ``start``, and the offset of each entry's CRC-32 in the file."""
    parts: list[bytes] = []
    crc_at: list[int] = []
    at = start
    for name, flags, crc, size, header in placed:
        short, place, version, extra = size, header, 20, b""
        if size >= _MAX or header >= _MAX:
            wide = [size, size] if size >= _MAX else []
            wide += [header] if header >= _MAX else []
            extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide)
            short, place, version = min(size, _MAX), min(header, _MAX), 45
        fields = _CENTRAL.pack(b"PK\x01\x02", version, version, flags, 0, 0, _DATE, crc, short, short, len(name),
                               len(extra), 0, 0, 0, 0, place)
        crc_at.append(at + 16)
        entry = fields + name + extra
        parts.append(entry)
        at += len(entry)
    size, count = at - start, len(placed)
    if count >= 0xFFFF or at >= _MAX:
        parts.append(struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start))
        parts.append(struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1))
    few = min(count, 0xFFFF)
    parts.append(struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, few, few, min(size, _MAX), min(start, _MAX), 0))
    return b"".join(parts), crc_at
