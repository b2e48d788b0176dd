"""Protocol buffers on the wire: fields of a message, without a schema. Specification: protobuf.dev, Encoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from modelglot.core.errors import DamagedFileError, InvalidFileError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """``value``: an unsigned integer for `VARINT`, the bytes of the others; ``at`` is where they start."""

    number: int
    wire: int
    value: int | memoryview
    at: int

    @property
    def bytes(self) -> memoryview:
        """Raises InvalidFileError where the field is a number."""
        if isinstance(self.value, int):
            raise InvalidFileError(f"field {self.number} is a number where bytes belong", offset=self.at)
        return self.value

    @property
    def number_value(self) -> int:
        if not isinstance(self.value, int):
            raise InvalidFileError(f"field {self.number} has bytes where a number belongs", offset=self.at)
        return self.value

    @property
    def text(self) -> str:
        return str(self.bytes, "utf-8", "surrogateescape")

    @property
    def float32(self) -> float:
        if self.wire != FIXED32:
            raise InvalidFileError(f"field {self.number} is no float", offset=self.at)
        found: float = struct.unpack("<f", self.bytes)[0]
        return found


def fields(data: bytes | memoryview, base: int = 0) -> Iterator[Field]:
    """The fields of one message, in order. ``base`` is the offset of ``data`` in its file, for messages.

    Raises DamagedFileError where the data ends inside a field, InvalidFileError for groups and unknown wire types.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        start = at
        key, at = _varint(view, at, base)
        number, wire = key >> 3, key & 7
        value: int | memoryview
        if number == 0:
            raise InvalidFileError("a field with the number 0", offset=base + start)
        if wire == VARINT:
            value, at = _varint(view, at, base)
            yield Field(number, wire, value, base + start)
            continue
        if wire == BYTES:
            length, at = _varint(view, at, base)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise InvalidFileError(f"wire type {wire} of field {number} is not in use", offset=base + start)
        if length > len(view) - at:
            raise DamagedFileError(
                f"field {number} needs {length:,} bytes, {len(view) - at:,} are left", offset=base + start
            )
        yield Field(number, wire, view[at : at + length], base + at)
        at += length


def _varint(view: memoryview, at: int, base: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise DamagedFileError("the data ends inside a number", offset=base + at)
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise InvalidFileError("a number of more than ten bytes", offset=base + at)
