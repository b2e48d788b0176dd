"""TensorFlow checkpoints that lie: each row the expected error; nothing is allocated beyond the file."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from modelglot.api.reading import read_as
from modelglot.containers import sstable
from modelglot.containers.sstable import MAGIC, varint
from modelglot.containers.tensorflow import strings
from modelglot.containers.tensorflow.bundle import GRAPH
from modelglot.containers.tensorflow.entry import entry_bytes, header_bytes
from modelglot.containers.tensorflow.slices import slice_key
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.checksums import checksum, crc32c, masked

HEADER = header_bytes(1)
FLOATS = entry_bytes(1, (4,), 0, 0, 16, masked(crc32c(bytes(16))))
U64 = (1 << 64) - 1


def sealed(data: bytes, ranges: list[tuple[int, int, int]]) -> bytes:
    made = bytearray(data)
    for offset, length, at in ranges:
        made[at : at + 4] = checksum("crc32c-masked", [bytes(made[offset : offset + length])])
    return bytes(made)


def table(*items: tuple[bytes, bytes]) -> bytes:
    made = sstable.build(items)
    return sealed(made.data, [(f.offset, f.length, f.targets[0]) for f in made.fixups])


def sealed_block(whole: bytes, kind: int = 0) -> bytes:
    return whole + bytes((kind,)) + masked(crc32c(whole + bytes((kind,)))).to_bytes(4, "little")


def block(body: bytes, kind: int = 0) -> bytes:
    """With one restart, where it is not compressed."""
    return sealed_block(body + struct.pack("<2I", 0, 1) if kind == 0 else body, kind)


def raw_entry(shared: int, key: bytes, value: bytes, length: int | None = None) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value) if length is None else length) + key + value


def around(first: bytes, place: tuple[int, int] | None = None) -> bytes:
    """A table of one data block, with ``place`` in its index in place of the block's own."""
    where = place or (0, len(first) - 5)
    index = block(raw_entry(0, b"\xff", varint(where[0]) + varint(where[1])))
    footer = (varint(len(first)) + varint(len(index) - 5)) * 2
    return first + index + footer.ljust(40, b"\0") + MAGIC


def bundle(*items: tuple[bytes, bytes], head: bytes = HEADER) -> bytes:
    return table((b"", head), *items)


def one(key: bytes = b"w", **choices: int | tuple[int, ...]) -> bytes:
    values = {"dtype": 1, "shape": (4,), "shard": 0, "offset": 0, "size": 16, **choices}
    return bundle((key, entry_bytes(**values)))  # type: ignore[arg-type]


def texts(*lengths: int, shape: tuple[int, ...] | None = None) -> bytes:
    """A string tensor whose stored lengths are these; the data file has 64 zero bytes."""
    return bundle((b"s", entry_bytes(7, shape or (len(lengths),), 0, 0, 16)))


def sliced(*parts: tuple[tuple[int, int], ...], stored: tuple[tuple[int, int], ...] = ((0, 4),)) -> bytes:
    message = b""
    for part in parts:
        axes = b"".join(
            b"\x0a" + varint(len(e)) + e for e in (b"\x08" + varint(s) + b"\x10" + varint(n) for s, n in part)
        )
        message += b"\x3a" + varint(len(axes)) + axes
    whole = b"\x08\x01\x12\x04\x12\x02\x08\x04" + message
    return bundle((slice_key("w", stored), FLOATS), (b"w", whole))


ROWS: dict[str, tuple[bytes, type[ModelFileError], str]] = {
    "nothing but the mark": (bytes(40) + MAGIC, DamagedFileError, "ends after the blocks"),
    "a footer of zeros": (bytes(64) + MAGIC, DamagedFileError, "checksum"),
    "another mark": (one()[:-1] + b"\0", DamagedFileError, "mark"),
    "index beyond the file": (
        bytes(20) + (varint(0) * 2 + varint(1 << 40) + varint(9)).ljust(40, b"\0") + MAGIC, DamagedFileError,
        "ends after the blocks"),
    "index of 2^62 bytes": (
        bytes(20) + (varint(0) * 2 + varint(0) + varint(1 << 62)).ljust(40, b"\0") + MAGIC, LimitError,
        "4,611,686,018,427,387,904"),
    "a number without end": (bytes(20) + b"\xff" * 40 + MAGIC, DamagedFileError, "no end"),
    "data block beyond the file": (
        around(block(raw_entry(0, b"", HEADER)), (10**6, 9)), DamagedFileError, "ends after the blocks"),
    "data block in the footer": (
        around(block(raw_entry(0, b"", HEADER)), (0, 90)), DamagedFileError, "ends after the blocks"),
    "restarts without room": (around(sealed_block(struct.pack("<I", 1 << 30))), DamagedFileError, "no room for them"),
    "a block of two bytes": (around(sealed_block(b"ab")), DamagedFileError, "too short"),
    "shares more than there is": (
        around(block(raw_entry(3, b"x", b"y"))), DamagedFileError, "does not fit its block"),
    "value past the block": (
        around(block(raw_entry(0, b"", b"y", 200))), DamagedFileError, "does not fit its block"),
    "key of 2^63 bytes": (
        around(block(b"\0" + varint(1 << 63) + b"\0")), DamagedFileError, "does not fit its block"),
    "keys out of order": (
        around(block(raw_entry(0, b"", HEADER) + raw_entry(0, b"b", FLOATS) + raw_entry(0, b"a", FLOATS))),
        InvalidFileError, "not in order"),
    "the same key twice": (
        around(block(raw_entry(0, b"", HEADER) + raw_entry(0, b"a", FLOATS) + raw_entry(0, b"a", FLOATS))),
        InvalidFileError, "not in order"),
    "unknown compression": (around(block(b"abcdefgh", kind=4)), UnsupportedError, "compressed in a way"),
    "compressed to 4 GiB": (
        around(block(b"\xff\xff\xff\xff\x0f" + b"\xfe\x01\0" * 9, kind=1)), LimitError, "a compressed block"),
    "compressed, refers before its start": (
        around(block(b"\x10\0a\x01\x09", kind=1)), DamagedFileError, "refers 9 bytes back"),
    "compressed, longer than it says": (
        around(block(b"\x02\x0cabcd", kind=1)), DamagedFileError, "more than the 2 bytes"),
    "compressed, cut": (around(block(b"\x20\x7cabcd", kind=1)), DamagedFileError, "early"),
    "no header": (table((b"w", FLOATS)), InvalidFileError, "without a header"),
    "no data files": (bundle((b"w", FLOATS), head=b"\x1a\x02\x08\x01"), InvalidFileError, "says 0 data files"),
    "2^64-1 data files": (bundle((b"w", FLOATS), head=header_bytes(U64)), InvalidFileError, "data files"),
    "a reader of version 9": (bundle(head=b"\x08\x01\x1a\x02\x10\x09"), UnsupportedError, "version 9"),
    "byte order 2": (bundle(head=b"\x08\x01\x10\x02"), InvalidFileError, "byte order"),
    "header is no message": (bundle(head=b"\x0f\xff"), InvalidFileError, ""),
    "entry is no message": (bundle((b"w", b"\xff\xff")), DamagedFileError, ""),
    "dtype as text": (bundle((b"w", b"\x0a\x01a")), InvalidFileError, "wrong kind"),
    "size beyond the data": (one(shape=(40,), size=160), DamagedFileError, "96 bytes after the end"),
    "offset beyond the data": (one(offset=60), DamagedFileError, "12 bytes after the end"),
    "negative offset": (one(offset=U64 - 3), InvalidFileError, "negative"),
    "negative size": (one(size=U64), InvalidFileError, "negative"),
    "size that is not that of the shape": (one(size=20), InvalidFileError, "needs 16"),
    "axes that multiply to 0 modulo 2^64": (one(shape=(1 << 32, 1 << 32), size=0), InvalidFileError, "2^63"),
    "an axis of -1": (one(shape=(U64,), size=0), InvalidFileError, "no size"),
    "data file 7 of 1": (one(shard=7), InvalidFileError, "data file 7 of 1"),
    "text longer than its place": (texts(5, shape=(1,)), DamagedFileError, "texts need"),
    "2^40 texts": (texts(0, shape=(1 << 40,)), DamagedFileError, "do not fit"),
    "text of unknown checksum": (bundle((b"s", entry_bytes(7, (12,), 0, 0, 16))), DamagedFileError, "checksum"),
    "a slice that is not there": (sliced(((1, 3),)), InvalidFileError, "is not in the index"),
    "a slice outside": (
        sliced(((2, 4),), stored=((2, 4),)), InvalidFileError, "lies outside"),
    "a slice of other rank": (sliced(((0, 4), (0, 1))), InvalidFileError, "2 axes"),
    "slices that leave a hole": (
        sliced(((0, 3),), stored=((0, 3),)), InvalidFileError, "another type or shape"),
    "the same slice twice": (sliced(((0, 4),), ((0, 4),)), InvalidFileError, "cover 8 of 4"),
    "a graph of objects that is no message": (
        bundle((GRAPH.encode(), entry_bytes(7, (), 0, 16, 14, strings.encode([b"\xff" * 9])[1]))), DamagedFileError,
        ""),
    "a graph of objects with a stranger": (
        bundle((GRAPH.encode(), entry_bytes(7, (), 0, 32, 11, strings.encode([b"\x0a\x04\x0a\x02\x08\x09"])[1]))),
        InvalidFileError, "object 9 of 1"),
}  # fmt: skip
DATA = bytes(16) + strings.encode([b"\xff" * 9])[0].ljust(16) + strings.encode([b"\x0a\x04\x0a\x02\x08\x09"])[0]
DATA = DATA.ljust(64, b"\0")


def read(folder: Path, index: bytes, limits: Limits | None = None) -> object:
    (folder / "m.index").write_bytes(index)
    (folder / "m.data-00000-of-00001").write_bytes(DATA)
    return read_as(registry.get("tf-checkpoint"), str(folder / "m.index"), limits or Limits())


def test_the_plain_one_is_read(tmp_path: Path) -> None:
    read(tmp_path, one())
    read(tmp_path, sliced(((0, 4),)))


@pytest.mark.parametrize("story", ROWS)
def test_the_error_says_what_and_where(tmp_path: Path, story: str) -> None:
    index, kind, words = ROWS[story]
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path, index)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert type(caught.value) is kind, str(caught.value)
    assert words in str(caught.value)
    assert caught.value.path


@pytest.mark.parametrize(
    "make", [one, lambda: sliced(((0, 4),)), lambda: bundle(*((b"%d" % i, FLOATS) for i in range(9)))]
)
def test_any_damage_is_found(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """Every byte of the index is under a checksum or means something."""
    whole, chooser = make(), random.Random(5)
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << chooser.randrange(8)
        try:
            read(tmp_path, bytes(changed))
        except ModelFileError as error:
            assert error.path  # noqa: PT017
        else:
            assert len(whole) - 48 <= at < len(whole) - 8, "only the footer has bytes that mean nothing"


STATES = {
    "nothing named": (b"model_checkpoint_path: \n", "names no checkpoint"),
    "a path upwards": (b'model_checkpoint_path: "../../../etc/passwd"\n', None),
    "a name with NUL": (b'model_checkpoint_path: "a\\000b"\n', None),
    "escapes": (b'model_checkpoint_path: "\\x\\777\\""', None),
}


@pytest.mark.parametrize("story", STATES)
def test_state_files_lead_nowhere_else(tmp_path: Path, story: str) -> None:
    """The name is looked for among the files of the folder and never opened as a path."""
    text, words = STATES[story]
    read(tmp_path, one())
    (tmp_path / "checkpoint").write_bytes(text)
    reader = registry.get("tf-checkpoint")
    if words:
        with pytest.raises(InvalidFileError, match=words):
            read_as(reader, str(tmp_path), Limits())
    else:
        assert [n.code for n in read_as(reader, str(tmp_path), Limits()).notes] == ["dead-checkpoint-path"]
    (tmp_path / "m.index").unlink()
    with pytest.raises(ModelFileError):
        read_as(reader, str(tmp_path), Limits())
