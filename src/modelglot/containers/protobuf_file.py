"""Protocol buffers inside a file: the fields of a message without loading the large ones.

Bytes of at most `SMALL` come with their field, larger ones stay in the file until they are asked for (`Field.bytes`) or
walked as a message (`Field.fields`). Where a field's bytes lie is ``field.at`` and ``field.length``, read or not::

    for field in message(source, limits):
        if field.number == GRAPH:
            for part in field.fields():
                ...

Walking is as deep as the caller goes: who descends by recursion bounds it with ``limits.depth``.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.protobuf import VARINT, Field, field_head, past_the_end
from modelglot.core.format import Source
from modelglot.core.limits import Limits

SMALL = 4 << 10
_FIRST, _MOST = 1 << 10, 64 << 10  # bytes of the window, which grows while reading goes on without a gap
_ENDLESS = 1 << 62
_HEAD = 20  # a key and a length, or a key and a number, have at most that


def message(
    source: Source, limits: Limits, offset: int = 0, length: int | None = None, *, damaged: bool = False
) -> Iterator[Field]:
    """The fields of the message in ``length`` bytes at ``offset`` of a file, or in all that follow.

    Raises DamagedFileError where it ends inside a field or the file does before it, InvalidFileError for groups and
    unknown wire types. Of a ``damaged`` file the last field is as long as it says; to read its bytes is the error.
    """
    end = source.size if length is None else offset + length
    if damaged:
        return _Window(source, limits, damaged).fields(offset, _ENDLESS if length is None else end)
    if end > source.size:
        raise past_the_end(0, end - offset, source.size - offset, offset)
    return _Window(source, limits).fields(offset, end)


class _Window:
    """What was read ahead: ``view`` starts at ``start`` of the file. Shared by all messages of the file."""

    __slots__ = ("damaged", "grow", "limits", "source", "start", "view")

    def __init__(self, source: Source, limits: Limits, damaged: bool = False) -> None:
        self.source, self.limits, self.damaged = source, limits, damaged
        self.start, self.view, self.grow = 0, memoryview(b""), _FIRST

    def fields(self, at: int, end: int) -> Iterator[Field]:
        stop = min(end, self.source.size) if self.damaged else end
        while at < stop:
            begin = at
            view, base = self.around(at, min(_HEAD, stop - at))
            if base + len(view) > end:
                view = view[: end - base]
            number, wire, value, place = field_head(view, at - base, base)
            at = base + place
            if wire == VARINT:
                yield Field(number, wire, value, begin, begin)
                continue
            if value > end - at:
                raise past_the_end(number, value, end - at, begin)
            if value > SMALL or at + value > stop:
                yield Field(number, wire, _Later(self, at, value), at, begin)
            else:
                view, base = self.around(at, value)
                yield Field(number, wire, view[at - base : at - base + value], at, begin)
            at += value

    def around(self, at: int, count: int) -> tuple[memoryview, int]:
        """A window that has ``count`` bytes at ``at``, and where it starts."""
        ahead = self.start + len(self.view)
        if not self.start <= at <= ahead - count:
            self.grow = min(self.grow * 4, _MOST) if self.start <= at <= ahead else _FIRST
            length = min(self.source.size - at, max(count, self.grow))
            self.view, self.start = memoryview(self.source.pread(at, length)), at
        return self.view, self.start


class _Later:
    """`Unread` bytes of a field."""

    __slots__ = ("length", "offset", "window")

    def __init__(self, window: _Window, offset: int, length: int) -> None:
        self.window, self.offset, self.length = window, offset, length

    def __len__(self) -> int:
        return self.length

    def read(self) -> memoryview:
        self.window.limits.check("header", self.length, "a field that has to be read", offset=self.offset)
        return memoryview(self.window.source.pread(self.offset, self.length))

    def fields(self) -> Iterator[Field]:
        return self.window.fields(self.offset, self.offset + self.length)
