"""The header of one GGUF file: version and byte order, metadata, the list of tensors. No tensor is read.

Layout (docs/gguf.md): magic, u32 version, counts, key-values, tensor infos, padding to the alignment, data. Version 1
has 32-bit counts, lengths and sizes; later ones 64-bit. A big-endian file has no flag: its version reads byte-swapped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from modelglot.containers.window import Window, check_inside
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    ModelFileError,
    UnsupportedError,
    printable,
)
from modelglot.core.format import Source
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry
from modelglot.formats.gguf import types
from modelglot.formats.gguf.arrays import StoredArray

ARRAY_DEPTH = 4
_LIST = "an entry of the tensor list"


class Info(NamedTuple):
    """One line of the tensor list: ``dims`` innermost first as stored, ``offset`` from the start of the data."""

    name: str
    dims: tuple[int, ...]
    type: int
    offset: int
    at: int


class Header(NamedTuple):
    version: int
    order: str  # `<` or `>`
    entries: dict[str, Entry]
    infos: tuple[Info, ...]
    alignment: int
    end: int  # where the tensor list ends
    data_start: int


def read_header(source: Source, limits: Limits) -> Header:
    """Raises DamagedFileError where the file ends too early, InvalidFileError, UnsupportedError, LimitError."""
    window = Window(source, limits.header)
    if window.take(4, "the magic number") != b"GGUF":
        raise InvalidFileError("does not start with `GGUF`", offset=0)
    version, order = _version(window.take(4, "the version number"))
    return _Reader(window, version, order, limits).header()


def _version(raw: bytes) -> tuple[int, str]:
    little, big = int.from_bytes(raw, "little"), int.from_bytes(raw, "big")
    version, order = (big, ">") if little & 0xFFFF == 0 and big else (little, "<")
    if version == 0:
        raise InvalidFileError("version 0 does not exist", offset=4)
    if version > 3:
        raise UnsupportedError(f"GGUF version {version:,} is not known; versions 1 to 3 are read", offset=4)
    return version, order


class _Reader:
    def __init__(self, window: Window, version: int, order: str, limits: Limits) -> None:
        self.window, self.version, self.order, self.limits = window, version, order, limits
        self.wide = version > 1
        self.size = struct.Struct(order + ("Q" if self.wide else "I"))
        self.u32 = struct.Struct(order + "I")
        self.u64 = struct.Struct(order + "Q")

    def header(self) -> Header:
        counts = self.window.offset
        n_tensors = self.length("the tensor count")
        n_entries = self.length("the metadata count")
        width = self.size.size
        self.possible("tensors", n_tensors, width + 4 + 4 + 8, counts)
        self.possible("metadata entries", n_entries, width + 1 + 4 + 1, counts + width)
        self.limits.check("tensors", n_tensors, "tensors in the header", offset=counts)
        entries: dict[str, Entry] = {}
        for number in range(n_entries):
            at = self.window.offset
            key = self.key(number)
            if key in entries:
                raise InvalidFileError(f"the metadata has the key {printable(key, code=True)} twice", offset=at)
            entries[key] = self.entry(key)
        alignment = _alignment(entries)
        infos = tuple(self.infos(n_tensors))
        end = self.window.offset
        start = -(-end // alignment) * alignment
        return Header(self.version, self.order, entries, infos, alignment, end, start)

    def possible(self, what: str, count: int, least: int, offset: int) -> None:
        """A count is held against the bytes left before anything is made for it."""
        if count * least > self.window.left:
            raise DamagedFileError(
                f"{count:,} {what} do not fit in the file",
                offset=offset,
                detail=f"they need at least {count * least:,} bytes; {self.window.left:,} are left",
                hint="the download may be incomplete",
            )

    def length(self, what: str) -> int:
        return int(self.size.unpack(self.window.take(self.size.size, what))[0])

    def number(self, what: str) -> int:
        return int(self.u32.unpack(self.window.take(4, what))[0])

    def text(self, what: str, most: int | None = None) -> str:
        at = self.window.offset
        length = self.length(what)
        check_inside(self.window.offset, length, self.window.size, what)
        if most is not None and length > most:
            raise InvalidFileError(f"{what} has {length:,} bytes; at most {most:,} are allowed", offset=at)
        return self.window.take(length, what).decode("utf-8", "surrogateescape")

    def key(self, number: int) -> str:
        at = self.window.offset
        key = self.text(f"key {number + 1} of the metadata", types.MAX_KEY)
        if not key:
            raise InvalidFileError(f"key {number + 1} of the metadata is empty", offset=at)
        return key

    def entry(self, key: str) -> Entry:
        what = f"the value of {printable(key, code=True, limit=60)}"
        number = self.number(what)
        if number == types.STR:
            return Entry(self.text(what), "str")
        if number == types.ARRAY:
            value = self.array(what)
            return Entry(value, f"array[{value.type}]")
        if number not in types.SCALARS:
            raise InvalidFileError(f"{what} has the unknown type {number:,}", offset=self.window.offset - 4)
        return Entry(self.scalar(number, what), types.SCALARS[number][0])

    def scalar(self, number: int, what: str) -> Any:
        code = types.SCALARS[number][1]
        at = self.window.offset
        raw = self.window.take(types.WIDTHS[code], what)
        if number == types.BOOL and raw[0] > 1:
            raise InvalidFileError(f"{what} is a boolean that is neither 0 nor 1, but {raw[0]}", offset=at)
        return struct.unpack(self.order + code, raw)[0]

    def array(self, what: str) -> StoredArray:
        number, count = self.number(what), self.length(what)
        begin = self.window.offset
        self.pass_array(number, count, what, 1)
        stored = self.window.between(begin, self.window.offset)
        return StoredArray(number, count, stored, self.order, self.wide)

    def pass_array(self, number: int, count: int, what: str, depth: int) -> None:
        """Go past the values of an array, checking all lengths in it."""
        at = self.window.offset
        if number in types.SCALARS:
            length = count * types.WIDTHS[types.SCALARS[number][1]]
            self.window.jump(at + length, what)
            self.within_limit()
            if number == types.BOOL and self.window.between(at, at + length).translate(None, b"\0\1"):
                raise InvalidFileError(f"{what} has booleans that are neither 0 nor 1", offset=at)
        elif number == types.STR:
            self.possible(f"strings of {what}", count, self.size.size, at)
            self.pass_strings(count, what)
        elif number == types.ARRAY:
            if depth >= ARRAY_DEPTH:
                raise LimitError(f"{what} has arrays nested more than {ARRAY_DEPTH} deep", offset=at)
            self.possible(f"arrays of {what}", count, 4 + self.size.size, at)
            head = struct.Struct(self.order + ("IQ" if self.wide else "II"))
            for _ in range(count):
                inner, length = head.unpack(self.window.take(head.size, what))
                self.pass_array(inner, length, what, depth + 1)
        else:
            raise InvalidFileError(f"{what} is an array of the unknown type {number:,}", offset=at)

    def pass_strings(self, count: int, what: str) -> None:
        """The hot loop: a vocabulary is hundreds of thousands of (length, bytes) to step over."""
        window, unpack, width = self.window, self.size.unpack_from, self.size.size
        while count:
            begin = window.need(width, what)
            data, position, done = window.data, begin, 0
            try:
                for done in range(count):  # noqa: B007
                    position += unpack(data, position)[0] + width
                done = count
            except (struct.error, OverflowError):  # past this window, or a length that is no length
                pass
            if window.start + position > window.size:
                self.find_bad_string(begin, what)
            window.jump(window.start + position, what)
            self.within_limit()
            count -= done
            window.expect(count * (position - begin) // max(1, done))  # the rest, if it is like this

    def find_bad_string(self, position: int, what: str) -> None:
        """Name the string whose length does not fit: the hot loop does not remember."""
        window = self.window
        while True:
            (length,) = self.size.unpack_from(window.data, position)
            check_inside(window.start + position + self.size.size, length, window.size, f"a string of {what}")
            position += self.size.size + length

    def within_limit(self) -> None:
        self.limits.check("header", self.window.offset, "bytes of the header so far", offset=self.window.offset)

    def infos(self, count: int) -> Iterator[Info]:
        """The tensor list. A file may have a hundred thousand, so nothing is set up anew for each."""
        seen: set[str] = set()
        size = "Q" if self.wide else "I"
        rests = [struct.Struct(f"{self.order}{n}{size}IQ") for n in range(types.MAX_DIMS + 1)]
        name: str | None = None
        window, width, length_at, number_at = self.window, self.size.size, self.size.unpack_from, self.u32.unpack_from
        shapes: dict[tuple[int, ...], tuple[int, ...]] = {}  # one tuple for equal ones
        usual = width + types.MAX_NAME + 4 + rests[-1].size
        try:
            for _ in range(count):
                at, name = window.start + window.pos, None
                here, data = window.pos, window.data
                if here + usual <= len(data) and (size_of := length_at(data, here)[0]) <= types.MAX_NAME:
                    here += width + size_of
                    name = data[here - size_of : here].decode("utf-8", "surrogateescape")
                    n_dims = number_at(data, here)[0]
                    window.pos = here + 4
                else:
                    name = self.text(_LIST, self.limits.name)
                    n_dims = -1
                if name in seen:
                    raise InvalidFileError("a tensor of this name is already in the list", offset=at)
                seen.add(name)
                if n_dims < 0:
                    n_dims = self.number(_LIST)
                if n_dims > types.MAX_DIMS:
                    raise InvalidFileError(
                        f"{n_dims:,} dimensions; at most {types.MAX_DIMS} are allowed", offset=window.offset - 4
                    )
                rest = rests[n_dims]
                begin = window.need(rest.size, _LIST)
                window.pos = begin + rest.size
                *dims, kind, offset = rest.unpack_from(window.data, begin)
                shape = tuple(dims)
                yield Info(name, shapes.setdefault(shape, shape), kind, offset, at)
        except ModelFileError as error:
            error.tensor = name if error.tensor is None else error.tensor
            raise


def _alignment(entries: dict[str, Entry]) -> int:
    entry = entries.get("general.alignment")
    if entry is None:
        return types.DEFAULT_ALIGNMENT
    if entry.type != "u32":
        raise InvalidFileError(f"`general.alignment` must be a u32, not {entry.type}")
    value = int(entry.value)
    if not is_alignment(value):
        raise InvalidFileError(
            f"`general.alignment` is {value:,}; it must be a power of two from 1 to {types.MAX_ALIGNMENT:,}"
        )
    return value


def is_alignment(value: int) -> bool:
    return 1 <= value <= types.MAX_ALIGNMENT and value & (value - 1) == 0
