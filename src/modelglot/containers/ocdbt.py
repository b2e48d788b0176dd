"""TensorStore's OCDBT: a key-value store in a folder. A manifest leads to a B+ tree, whose leaves say where values lie.

Specification: google.github.io/tensorstore/kvstore/ocdbt, storage format. Only the newest version is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelglot.containers.codecs import whole
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import MIB, Limits
from modelglot.sources.checksums import crc32c

MANIFEST = "manifest.ocdbt"
_MANIFEST, _NODE = 0x0CDB3A2A, 0x0CDB20DE  # what each kind of record begins with, big-endian
_ABSENT = (1 << 64) - 1
_MOST = 256 * MIB  # of one node, decoded


class Value(NamedTuple):
    """Where a value lies, or the value itself (``data``), which leaves hold when it is small."""

    file: str
    offset: int
    length: int
    data: bytes | None = None


class _Place(NamedTuple):
    """A record in a file; ``base`` is the folder that the paths in it are relative to."""

    path: str
    offset: int
    length: int
    base: str


def read(files: FileSet, folder: str, limits: Limits) -> dict[str, Value]:
    """Every key of the store in ``folder`` (empty, or with a ``/`` at the end).

    Raises DamagedFileError, InvalidFileError, LimitError; UnsupportedError for a numbered manifest.
    """
    name = folder + MANIFEST
    size = files.open(name).size
    limits.check("index", size, "the manifest")
    body = _body(files, _Place(name, 0, size, folder), _MANIFEST)
    with located(path=files.open(name).path):
        root, height = _root(body, folder)
    found: dict[str, Value] = {}
    if root is not None:
        _node(files, root, height, b"", found, limits)
    return found


class _Reader:
    """Numbers and byte strings of one decoded record, in order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise DamagedFileError(f"a record ends {length - len(self.data) + self.at:,} bytes too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise InvalidFileError("a number of more than ten bytes")

    def numbers(self, count: int) -> list[int]:
        if count > len(self.data) - self.at:
            raise DamagedFileError(f"{count:,} numbers do not fit in the record")
        return [self.number() for _ in range(count)]


def _body(files: FileSet, place: _Place, magic: int) -> _Reader:
    """The decoded contents of a record."""
    source = files.open(place.path)
    with located(path=source.path, base=place.offset):
        raw = source.pread(place.offset, place.length)
        if len(raw) < 18 or int.from_bytes(raw[:4], "big") != magic:
            raise InvalidFileError(f"no OCDBT record of the kind {magic:#010x}", offset=0)
        if int.from_bytes(raw[4:12], "little") != len(raw):
            raise DamagedFileError("a record has another length than it says", offset=4)
        if raw[12] != 0:
            raise UnsupportedError(f"version {raw[12]} of OCDBT", offset=12)
        if raw[13] not in (0, 1):
            raise UnsupportedError(f"compression {raw[13]} of OCDBT", offset=13)
        if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            raise DamagedFileError("a record is not what its checksum says", hint="copy the folder again")
        return _Reader(whole(("raw", "zstd")[raw[13]], raw[14:-4], _MOST))


def _root(body: _Reader, folder: str) -> tuple[_Place | None, int]:
    """The root of the newest version, and its height."""
    body.take(16)  # the database's own id
    if body.number() != 0:
        raise UnsupportedError("a numbered manifest of OCDBT", hint="save the checkpoint again with Orbax")
    body.number(), body.number(), body.byte()  # sizes that matter to writers
    if body.number():
        body.take(4)  # the level of zstd
    table = _paths(body, folder)
    count = body.number()
    generations = body.numbers(count)
    heights = [body.byte() for _ in range(len(generations))]
    places = _places(body, count, table)
    if not count:
        return None, 0
    return places[-1], heights[-1]


def _paths(body: _Reader, base: str) -> list[tuple[str, str]]:
    """(path, base of what is named inside) of the data files of a record."""
    count = body.number()
    prefixes = [0, *body.numbers(count - 1)] if count else []
    suffixes, bases = body.numbers(count), body.numbers(count)
    found: list[tuple[str, str]] = []
    last = b""
    for prefix, suffix, length in zip(prefixes, suffixes, bases, strict=True):
        if prefix > len(last) or length > prefix + suffix or prefix + suffix > 65535:
            raise InvalidFileError("a path of a data file does not fit together")
        last = last[:prefix] + body.take(suffix)
        text = last.decode("utf-8", "surrogateescape")
        found.append((base + text, base + last[:length].decode("utf-8", "surrogateescape")))
    return found


def _places(body: _Reader, count: int, table: list[tuple[str, str]]) -> list[_Place | None]:
    """References to B+ tree nodes, with their statistics, which are passed over."""
    numbers, offsets, lengths = (body.numbers(count) for _ in range(3))
    for _ in range(3):
        body.numbers(count)
    return [
        None if offset == length == _ABSENT else _Place(_path(table, n)[0], offset, length, _path(table, n)[1])
        for n, offset, length in zip(numbers, offsets, lengths, strict=True)
    ]


def _path(table: list[tuple[str, str]], number: int) -> tuple[str, str]:
    if number >= len(table):
        raise InvalidFileError(f"data file {number} of {len(table)}")
    return table[number]


def _node(files: FileSet, place: _Place, height: int, prefix: bytes, found: dict[str, Value], limits: Limits) -> None:
    """Everything below a node; ``prefix`` is what its keys leave out."""
    limits.check("depth", height, "levels of the tree")
    body = _body(files, place, _NODE)
    with located(path=files.open(place.path).path):
        if body.byte() != height:
            raise InvalidFileError("a node of the tree has another height than its parent says")
        table = _paths(body, place.base)
        count = body.number()
        keys, common = _keys(body, count, inner=height > 0)
        limits.check("entries", len(found) + count, "keys")
        if height == 0:
            for key, value in zip(keys, _values(body, count, table), strict=True):
                found[(prefix + key).decode("utf-8", "surrogateescape")] = value
            return
        children = _places(body, count, table)
    for key, shared, child in zip(keys, common, children, strict=True):
        if child is None:
            raise InvalidFileError("a node of the tree is missing", path=files.open(place.path).path)
        _node(files, child, height - 1, prefix + key[:shared], found, limits)


def _keys(body: _Reader, count: int, *, inner: bool) -> tuple[list[bytes], list[int]]:
    """Keys, each stored as what differs from the one before; for inner nodes also how much children leave out."""
    if not count:
        raise InvalidFileError("an empty node of the tree")
    prefixes = [0, *body.numbers(count - 1)]
    suffixes = body.numbers(count)
    shared = body.numbers(count) if inner else []
    keys: list[bytes] = []
    last = b""
    for prefix, suffix in zip(prefixes, suffixes, strict=True):
        if prefix > len(last) or prefix + suffix > 65535:
            raise InvalidFileError("a key does not fit the one before")
        last = last[:prefix] + body.take(suffix)
        keys.append(last)
    if any(length > len(key) for length, key in zip(shared, keys, strict=False)):
        raise InvalidFileError("a key is shorter than what its subtree shares", detail=printable(repr(keys[0])))
    return keys, shared


def _values(body: _Reader, count: int, table: list[tuple[str, str]]) -> Iterator[Value]:
    lengths, kinds = body.numbers(count), list(body.take(count))
    if any(kind > 1 for kind in kinds):
        raise InvalidFileError("a value of the tree is of an unknown kind")
    apart = [n for n, kind in enumerate(kinds) if kind == 1]
    paths = dict(zip(apart, body.numbers(len(apart)), strict=True))
    offsets = dict(zip(apart, body.numbers(len(apart)), strict=True))
    for number, length in enumerate(lengths):
        if number in paths:
            yield Value(_path(table, paths[number])[0], offsets[number], length)
        else:
            yield Value("", 0, length, body.take(length))
