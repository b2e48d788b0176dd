"""Protocol buffers on the wire: fields of a message, without a schema. Specification: protobuf.dev, Encoding.

`fields` walks a message in memory, `protobuf_file.message` one that lies in a file; both give the same `Field`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from modelglot.core.errors import DamagedFileError, InvalidFileError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class Unread(Protocol):
    """Bytes of a field that were left in the file."""

    def __len__(self) -> int: ...

    def read(self) -> memoryview:
        """All of them. Raises LimitError where they are more than a header may have."""
        ...

    def fields(self) -> Iterator[Field]:
        """Walked as a message, again without reading what is large."""
        ...


class Field(NamedTuple):
    """``value``: an unsigned integer for `VARINT`, the bytes of the others. ``at`` is where the bytes start in the file
    (for `VARINT` where the field does), ``begin`` where the field does."""

    number: int
    wire: int
    value: int | memoryview | Unread
    at: int
    begin: int

    @property
    def bytes(self) -> memoryview:
        """Raises InvalidFileError where the field is a number."""
        if isinstance(self.value, memoryview):
            return self.value
        return self._unread.read()

    @property
    def length(self) -> int:
        """Of the bytes, which need not be read for it."""
        return len(self.value) if isinstance(self.value, memoryview) else len(self._unread)

    def fields(self) -> Iterator[Field]:
        """The field as a message."""
        if isinstance(self.value, memoryview):
            return fields(self.value, self.at)
        return self._unread.fields()

    @property
    def number_value(self) -> int:
        if not isinstance(self.value, int):
            raise InvalidFileError(f"field {self.number} has bytes where a number belongs", offset=self.at)
        return self.value

    @property
    def signed(self) -> int:
        """The number of an ``int32`` or ``int64`` field: negative ones are stored as large ones."""
        value = self.number_value
        return value - (_MASK + 1) if value >> 63 else value

    @property
    def text(self) -> str:
        return str(self.bytes, "utf-8", "surrogateescape")

    @property
    def float32(self) -> float:
        if self.wire != FIXED32:
            raise InvalidFileError(f"field {self.number} is no float", offset=self.at)
        found: float = struct.unpack("<f", self.bytes)[0]
        return found

    @property
    def _unread(self) -> Unread:
        if self.wire == VARINT:
            raise InvalidFileError(f"field {self.number} is a number where bytes belong", offset=self.at)
        return self.value  # type: ignore[return-value]


def fields(data: bytes | memoryview, base: int = 0) -> Iterator[Field]:
    """The fields of one message, in order. ``base`` is the offset of ``data`` in its file, for messages.

    Raises DamagedFileError where the data ends inside a field, InvalidFileError for groups and unknown wire types.
    """
    view, at = memoryview(data), 0
    size = len(view)
    while at < size:
        start = at
        key = view[at]
        wire = key & 7
        if 7 < key < 0x80 and wire in (VARINT, BYTES) and at + 1 < size and view[at + 1] < 0x80:
            number, value, at = key >> 3, view[at + 1], at + 2  # nearly every field: no calls for two bytes
        else:
            number, wire, value, at = field_head(view, at, base)
        if wire == VARINT:
            yield Field(number, wire, value, base + start, base + start)
            continue
        if value > size - at:
            raise past_the_end(number, value, size - at, base + start)
        yield Field(number, wire, view[at : at + value], base + at, base + start)
        at += value


def varints(data: bytes | memoryview, base: int = 0) -> Iterator[int]:
    """The numbers of a packed repeated field, unsigned."""
    view, at = memoryview(data), 0
    while at < len(view):
        value, at = _varint(view, at, base)
        yield value


def field_head(view: memoryview, at: int, base: int) -> tuple[int, int, int, int]:
    """(field number, wire type, number or length of the bytes, place after it) of the field at ``at``."""
    start = at
    key = view[at]
    if key < 0x80:
        at += 1
    else:
        key, at = _varint(view, at, base)
    number, wire = key >> 3, key & 7
    if number == 0:
        raise InvalidFileError("a field with the number 0", offset=base + start)
    if wire in (VARINT, BYTES):
        value, at = _varint(view, at, base)
    elif wire in (FIXED32, FIXED64):
        value = 4 if wire == FIXED32 else 8
    else:
        raise InvalidFileError(f"wire type {wire} of field {number} is not in use", offset=base + start)
    return number, wire, value, at


def in_sight(head: bytes) -> Iterator[tuple[int, int, int, memoryview]]:
    """(number, wire type, number or length, bytes) of the fields at the front of a message that is cut off: of the last
    one as many bytes as there are. Ends with the error of what cannot be a field."""
    view, at = memoryview(head), 0
    while at < len(view):
        number, wire, value, at = field_head(view, at, 0)
        length = 0 if wire == VARINT else value
        yield number, wire, value, view[at : at + length]
        at += length


def past_the_end(number: int, length: int, left: int, offset: int) -> DamagedFileError:
    """The error for a field whose bytes are not all there."""
    return DamagedFileError(f"field {number} needs {length:,} bytes, {left:,} are left", offset=offset)


def _varint(view: memoryview, at: int, base: int) -> tuple[int, int]:
    if at < len(view) and view[at] < 0x80:
        return view[at], at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise DamagedFileError("the data ends inside a number", offset=base + at)
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
    raise InvalidFileError("a number of more than ten bytes", offset=base + at)
