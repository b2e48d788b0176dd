"""Arrays of GGUF metadata, kept as the bytes they were stored in and decoded when somebody looks.

A vocabulary has hundreds of thousands of strings; nobody needs them to list tensors, and a writer copies the bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any

from modelglot.formats.gguf.types import ARRAY, SCALARS, STR, VALUE_NAMES, WIDTHS


class StoredArray(Sequence[Any]):
    """``count`` values of value type ``number`` (GGUF's), as stored: ``stored`` was checked while it was read.

    ``order`` is the struct prefix ``<`` or ``>``; ``wide`` says that lengths are 64-bit (not in version 1). Strings
    that are not UTF-8 decode with surrogate escapes, so that encoding them the same way gives the stored bytes.
    """

    __slots__ = ("_count", "_starts", "number", "order", "stored", "wide")

    def __init__(self, number: int, count: int, stored: bytes, order: str = "<", wide: bool = True) -> None:
        self.number = number
        self._count = count
        self.stored = stored
        self.order = order
        self.wide = wide
        self._starts: array[int] | None = None

    @property
    def type(self) -> str:
        """``str``, ``i32`` ...: the type of the elements."""
        return VALUE_NAMES[self.number]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        if self.number in SCALARS:
            return (value for (value,) in self._struct().iter_unpack(self.stored))
        return (self._at(start) for start in self._positions())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError("array index out of range")
        if self.number in SCALARS:
            packed = self._struct()
            return packed.unpack_from(self.stored, place * packed.size)[0]
        if self._starts is None:
            self._starts = array("Q", self._positions())
        return self._at(self._starts[place])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StoredArray) and self._kind() == other._kind():
            return self._count == other._count and self.stored == other.stored
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StoredArray({self._count} x {self.type})"

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredArray, (self.number, self._count, self.stored, self.order, self.wide)

    def _kind(self) -> tuple[int, str, bool]:
        return self.number, self.order, self.wide

    def _struct(self) -> Struct:
        return Struct(self.order + SCALARS[self.number][1])

    def _lengths(self) -> Struct:
        return Struct(self.order + ("Q" if self.wide else "I"))

    def _positions(self) -> Iterator[int]:
        """Where each string or inner array begins."""
        lengths, position = self._lengths(), 0
        for _ in range(self._count):
            yield position
            if self.number == STR:
                position += lengths.size + lengths.unpack_from(self.stored, position)[0]
            else:
                position = array_end(self.stored, position, self.order, self.wide)

    def _at(self, start: int) -> Any:
        lengths = self._lengths()
        if self.number == STR:
            begin = start + lengths.size
            stop = begin + lengths.unpack_from(self.stored, start)[0]
            return self.stored[begin:stop].decode("utf-8", "surrogateescape")
        head = Struct(self.order + ("IQ" if self.wide else "II"))
        number, count = head.unpack_from(self.stored, start)
        stop = array_end(self.stored, start, self.order, self.wide)
        return StoredArray(number, count, self.stored[start + head.size : stop], self.order, self.wide)


def array_end(stored: bytes, start: int, order: str, wide: bool) -> int:
    """The end of the inner array (type, count, values) at ``start`` of bytes that were checked before."""
    head = Struct(order + ("IQ" if wide else "II"))
    lengths = Struct(order + ("Q" if wide else "I"))
    number, count = head.unpack_from(stored, start)
    position: int = start + head.size
    if number in SCALARS:
        return position + int(count) * WIDTHS[SCALARS[number][1]]
    for _ in range(count):
        if number == ARRAY:
            position = array_end(stored, position, order, wide)  # at most four deep: checked on reading
        else:
            position += lengths.size + lengths.unpack_from(stored, position)[0]
    return position
