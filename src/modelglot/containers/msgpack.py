"""MessagePack, read where it lies: containers and small values are made, long byte strings stay in the file.

Specification: github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import DamagedFileError, InvalidFileError
from modelglot.core.format import Source
from modelglot.core.limits import Limits
from modelglot.core.tree import Node

_WINDOW = 64 << 10
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q",
}  # fmt: skip
# first byte -> (kind, width of the length that follows)
_LONG = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4), 0xDE: ("map", 2),
    0xDF: ("map", 4),
}  # fmt: skip
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@dataclass(frozen=True, slots=True)
class Span:
    """A byte string that was left in the file. ``code`` is the type of an extension, None for plain bytes."""

    offset: int
    length: int
    code: int | None = None


class Reader:
    """One value after another from ``source``, from ``at`` up to ``end``; ``at`` moves on."""

    def __init__(self, source: Source, limits: Limits, at: int = 0, end: int | None = None) -> None:
        self.source, self.limits, self.at = source, limits, at
        self.end = source.size if end is None else end
        self._held, self._base, self._made = b"", 0, 0

    def value(self, depth: int = 0) -> Any:
        """None, bool, int, float, str, `Span`, or a `Node` of kind dict or list.

        Raises DamagedFileError where the data ends too early, InvalidFileError for what is no MessagePack, LimitError.
        """
        self._made += 1
        if self._made & 0xFF == 0:
            self.limits.check("tree_values", self._made, "values", offset=self.at)
        start, first = self.at, self._take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 256
        if first < 0xC0:
            kind = "map" if first < 0x90 else "array" if first < 0xA0 else "str"
            return self._sized(kind, first & (0x1F if kind == "str" else 0x0F), depth)
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return struct.unpack(_NUMBERS[first], self._take(struct.calcsize(_NUMBERS[first])))[0]
        if first in _LONG:
            kind, width = _LONG[first]
            return self._sized(kind, int.from_bytes(self._take(width), "big"), depth)
        if first in _FIXED_EXT:
            return self._sized("ext", _FIXED_EXT[first], depth)
        raise InvalidFileError(f"byte {first:#04x} begins no MessagePack value", offset=start)

    def _sized(self, kind: str, length: int, depth: int) -> Any:
        if kind in ("map", "array"):
            return self._container(kind, length, depth)
        if kind == "str":
            self.limits.check("name", length, "bytes of a text", offset=self.at)
            return self._take(length).decode("utf-8", "surrogateescape")
        code = int.from_bytes(self._take(1), "big", signed=True) if kind == "ext" else None
        span = Span(self.at, length, code)
        self._need(length)
        self.at += length
        return span

    def _container(self, kind: str, count: int, depth: int) -> Node:
        self.limits.check("depth", depth + 1, "levels of nesting", offset=self.at)
        self._need(count * (2 if kind == "map" else 1))  # a value takes at least a byte
        if kind == "array":
            return Node("list", [self.value(depth + 1) for _ in range(count)])
        return Node("dict", [(self.value(depth + 1), self.value(depth + 1)) for _ in range(count)])

    def _need(self, length: int) -> None:
        if length > self.end - self.at:
            raise DamagedFileError(
                f"the data ends {length - (self.end - self.at):,} bytes too early",
                offset=self.at,
                detail=f"needs {length:,} bytes; {self.end - self.at:,} are left",
                hint="the download may be incomplete",
            )

    def _take(self, length: int) -> bytes:
        self._need(length)
        begin = self.at - self._base
        if not 0 <= begin <= begin + length <= len(self._held):
            self._held = self.source.pread(self.at, min(max(length, _WINDOW), self.end - self.at))
            self._base, begin = self.at, 0
        self.at += length
        return self._held[begin : begin + length]


def text(value: str) -> bytes:
    """A string in its shortest form."""
    raw = value.encode("utf-8", "surrogateescape")
    return _head(len(raw), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + raw


def map_head(count: int) -> bytes:
    """What comes before ``count`` pairs."""
    return _head(count, 0x80, 16, (None, 0xDE, 0xDF))


def array_head(count: int) -> bytes:
    return _head(count, 0x90, 16, (None, 0xDC, 0xDD))


def bin_head(length: int) -> bytes:
    """What comes before ``length`` bytes."""
    return _head(length, 0, 0, (0xC4, 0xC5, 0xC6))


def ext_head(code: int, length: int) -> bytes:
    """What comes before ``length`` bytes of an extension."""
    fixed = {size: first for first, size in _FIXED_EXT.items()}.get(length)
    head = bytes([fixed]) if fixed else _head(length, 0, 0, (0xC7, 0xC8, 0xC9))
    return head + code.to_bytes(1, "big", signed=True)


def unsigned(value: int) -> bytes:
    """A natural number in its shortest form."""
    if value < 0x80:
        return bytes([value])
    first, form = next(
        (f, _NUMBERS[f]) for f in (0xCC, 0xCD, 0xCE, 0xCF) if value < 256 ** struct.calcsize(_NUMBERS[f])
    )
    return bytes([first]) + struct.pack(form, value)


def _head(count: int, short: int, limit: int, firsts: tuple[int | None, int, int]) -> bytes:
    if count < limit:
        return bytes([short | count])
    for first, width in zip(firsts, (1, 2, 4), strict=True):
        if first is not None and count < 256**width:
            return bytes([first]) + count.to_bytes(width, "big")
    raise InvalidFileError(f"{count:,} is more than MessagePack can count")
