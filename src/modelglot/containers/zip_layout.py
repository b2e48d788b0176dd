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
    directory: list[bytes] = []
    waiting: list[tuple[int, int, int, int]] = []  # data offset, size, where the CRC-32 goes: local, in the directory
    paddings: dict[int, bytes] = {}
    at = length_so_far = 0
    for called, head, tensor, length, alignment in entries:
        name = called.encode()
        flags = 0 if called.isascii() else 0x800
        size = len(head) + length
        crc = 0 if tensor is not None else zlib.crc32(head)
        wide = central_wide = b""
        short, place, version, central_version = size, at, 20, 20
        if size >= _MAX or at >= _MAX:
            short, place, central_version = min(size, _MAX), min(at, _MAX), 45
            numbers = ([size, size] if size >= _MAX else []) + ([at] if at >= _MAX else [])
            central_wide = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)
            if size >= _MAX:
                wide, version = struct.pack("<HHQQ", 1, 16, size, size), 45
        bare = at + 30 + len(name) + len(wide)
        padding = -bare % alignment
        while 0 < padding < 4:  # too narrow for the four bytes that announce it
            padding += alignment
        extra = paddings.get(padding)
        if extra is None:
            extra = struct.pack("<HH", _PAD, padding - 4).ljust(padding, b"Z") if padding else b""
            paddings[padding] = extra
        extra = wide + extra
        header = _LOCAL.pack(b"PK\x03\x04", version, flags, 0, 0, _DATE, crc, short, short, len(name), len(extra))
        pieces.append(Piece(at, header + name + extra + head))
        start = bare + padding
        if tensor is not None:
            slots.append(Slot(tensor, start + len(head), length))
            waiting.append((start, size, at + 14, length_so_far + 16))
        entry = name + central_wide
        directory.append(_CENTRAL.pack(b"PK\x01\x02", central_version, central_version, flags, 0, 0, _DATE, crc, short,
                                       short, len(name), len(central_wide), 0, 0, 0, 0, place) + entry)  # fmt: skip
        length_so_far += 46 + len(entry)
        at = start + size
    end = b"".join(directory) + _end(len(directory), length_so_far, at)
    pieces.append(Piece(at, end))
    fixups = tuple([Fixup("crc32", start, size, (local, at + central)) for start, size, local, central in waiting])
    return OutFile(file_name, at + len(end), tuple(pieces), tuple(slots), fixups)


def _end(count: int, size: int, start: int) -> bytes:
    """The end records of a directory of ``size`` bytes at ``start``."""
    wide = b""
    if count >= 0xFFFF or start + size >= _MAX:
        wide = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
        wide += struct.pack("<4sIQI", b"PK\x06\x07", 0, start + size, 1)
    few = min(count, 0xFFFF)
    return wide + struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, few, few, min(size, _MAX), min(start, _MAX), 0)
