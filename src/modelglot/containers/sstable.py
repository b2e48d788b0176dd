"""Sorted tables as LevelDB defined them: keys in order with values, in blocks with checksums, and an index of them.

TensorFlow keeps its checkpoints' indexes in them. Specification: github.com/google/leveldb, doc/table_format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from modelglot.containers import snappy
from modelglot.containers.protobuf_write import varint
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located
from modelglot.core.format import Source
from modelglot.core.layout import Fixup
from modelglot.core.limits import Limits
from modelglot.sources.checksums import crc32c, unmasked

MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER, _TRAILER = 48, 5
_BLOCK, _RESTART = 262_144, 16  # what TensorFlow writes: bytes of a block, entries between whole keys


class Block(NamedTuple):
    """A block of entries, checked and unpacked. ``offset``, ``length`` and ``codec`` (raw or snappy) are of its stored
    bytes."""

    data: bytes
    offset: int
    length: int
    codec: str


Skipped = list[tuple[bytes, bytes]]  # damaged blocks: keys after the first one, up to the second


def entries(source: Source, limits: Limits, skipped: Skipped | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Every key with its value, in the order of the keys; see `blocks` and `block_entries`."""
    last: bytes | None = None
    for block in blocks(source, limits, skipped):
        with located(path=source.path):
            for key, at, length in block_entries(block.data, block.offset):
                if last is not None and key <= last:
                    raise InvalidFileError(f"the keys of the table are not in order: {key[:80]!r}", offset=block.offset)
                last = key
                yield key, block.data[at : at + length]


def blocks(source: Source, limits: Limits, skipped: Skipped | None = None) -> Iterator[Block]:
    """The blocks of entries in order. Damaged ones are added to ``skipped`` and passed over, where that is given.

    Raises DamagedFileError for a wrong checksum or a cut file, InvalidFileError for what breaks the specification.
    """
    with located(path=source.path):
        footer = _footer(source)
        meta, at = _handle(footer, 0)
        index, _ = _handle(footer, at)
        places = _block(source, index, limits)
        last = b""
        for key, start, _ in block_entries(places.data, index[0]):
            place, _ = _handle(places.data, start)
            try:
                block = _block(source, place, limits)
            except DamagedFileError:
                if skipped is None:
                    raise
                skipped.append((last, key))
            else:
                yield block
            last = key
        if skipped is None:
            _block(source, meta, limits)  # filters and the like, which nobody needs: only checked


def _footer(source: Source) -> bytes:
    if source.size < _FOOTER:
        raise DamagedFileError(f"too short for a table: {source.size} bytes, at least {_FOOTER} needed", offset=0)
    footer = source.pread(source.size - _FOOTER, _FOOTER)
    if not footer.endswith(MAGIC):
        raise DamagedFileError(
            "the table does not end with its mark", offset=source.size - 8, hint="the download may be incomplete"
        )
    return footer


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """(offset, length) of a block, and where the next one is said."""
    offset, at = _varint(data, at)
    length, at = _varint(data, at)
    return (offset, length), at


def _block(source: Source, place: tuple[int, int], limits: Limits) -> Block:
    """A block, checked and unpacked."""
    offset, length = place
    limits.check("header", length, "a block of the table", offset=min(offset, source.size))
    if offset + length + _TRAILER > source.size - _FOOTER:
        raise DamagedFileError(
            f"a block of {length:,} bytes ends after the blocks of the table", offset=min(offset, source.size)
        )
    raw = source.pread(offset, length + _TRAILER)
    kind, stored = raw[length], int.from_bytes(raw[length + 1 :], "little")
    found = crc32c(raw[: length + 1])
    if unmasked(stored) != found:
        raise DamagedFileError(
            "a block of the table does not match its checksum (CRC-32C)",
            offset=offset,
            detail=f"the file says {unmasked(stored):08x}, the bytes give {found:08x}",
            hint="the file is damaged; get it again",
        )
    if kind == 0:
        return Block(raw[:length], offset, length, "raw")
    if kind == 1:
        with located(base=offset):
            return Block(snappy.decode(raw[:length], limits), offset, length, "snappy")
    raise UnsupportedError(f"a block of the table is compressed in a way that is not read: {kind}", offset=offset)


def block_entries(block: bytes, base: int) -> Iterator[tuple[bytes, int, int]]:
    """Keys of one block, made whole, and the offset and length of each value in it."""
    if len(block) < 4:
        raise DamagedFileError("a block of the table is too short", offset=base)
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise DamagedFileError(f"a block of the table says {restarts:,} restarts and has no room for them", offset=base)
    key, at = b"", 0
    while at < end:
        start = at
        if end - at > 3 and max(block[at], block[at + 1], block[at + 2]) < 128:  # nearly always
            shared, fresh, length = block[at], block[at + 1], block[at + 2]
            at += 3
        else:
            shared, at = _varint(block, at)
            fresh, at = _varint(block, at)
            length, at = _varint(block, at)
        if shared > len(key) or at + fresh + length > end:
            raise DamagedFileError("an entry of the table does not fit its block", offset=base + start)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, at, length
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise DamagedFileError("a number in the table has no end", offset=at)


class Table(NamedTuple):
    """A table laid out: its bytes with empty checksums, where each value lies, and the checksums to fill in."""

    data: bytes
    values: list[int]
    fixups: tuple[Fixup, ...]


class _Builder:
    """One block: keys without what they share with the one before, except at restarts."""

    def __init__(self, restart: int) -> None:
        self.data, self._restarts, self._every, self._count, self._last = bytearray(), [0], restart, 0, b""

    @property
    def size(self) -> int:
        return len(self.data) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> int:
        """Where the value lies in the block."""
        shared = 0
        if self._count % self._every == 0:
            if self._count:
                self._restarts.append(len(self.data))
        else:
            shared = _common(self._last, key)
        self.data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:]
        at = len(self.data)
        self.data += value
        self._last, self._count = key, self._count + 1
        return at

    def finish(self) -> bytes:
        return bytes(self.data) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


def build(items: Iterable[tuple[bytes, bytes]]) -> Table:
    """The table of these entries, which come in the order of their keys, as TensorFlow's writer lays it out."""
    data, values, fixups = bytearray(), list[int](), list[Fixup]()
    block, index, last = _Builder(_RESTART), _Builder(1), b""

    def flush(made: bytes) -> bytes:
        place = varint(len(data)) + varint(len(made))
        fixups.append(Fixup("crc32c-masked", len(data), len(made) + 1, (len(data) + len(made) + 1,)))
        data.extend(made + bytes(_TRAILER))
        return place

    closed = False
    place = b""
    for key, value in items:
        if closed:
            index.add(_between(last, key), place)
            block, closed = _Builder(_RESTART), False
        values.append(len(data) + block.add(key, value))
        last = key
        if block.size >= _BLOCK:
            place, closed = flush(block.finish()), True
    if not closed:
        place = flush(block.finish())
    meta = flush(_Builder(_RESTART).finish())
    index.add(_after(last), place)
    footer = meta + flush(index.finish())
    data += footer.ljust(_FOOTER - len(MAGIC), b"\0") + MAGIC
    return Table(bytes(data), values, tuple(fixups))


def _common(a: bytes, b: bytes) -> int:
    most = min(len(a), len(b))
    return next((i for i in range(most) if a[i] != b[i]), most)


def _between(last: bytes, following: bytes) -> bytes:
    """A short key at or after ``last`` and before ``following``."""
    at = _common(last, following)
    if at < min(len(last), len(following)) and last[at] < 255 and last[at] + 1 < following[at]:
        return last[:at] + bytes((last[at] + 1,))
    return last


def _after(last: bytes) -> bytes:
    """A short key at or after ``last``."""
    for at, byte in enumerate(last):
        if byte != 255:
            return last[:at] + bytes((byte + 1,))
    return last
