"""TensorFlow checkpoints of version 1, made by hand from their description."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers import sstable
from modelglot.containers.sstable import varint
from modelglot.containers.tensorflow.slices import slice_key
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError
from modelglot.sources.checksums import checksum
from modelglot.testing.conformance import ReaderConformance


def sub(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def shape(*sizes: int) -> bytes:
    return b"".join(sub(2, b"\x08" + varint(s)) for s in sizes)


def axes(*parts: tuple[int, int]) -> bytes:
    return b"".join(sub(1, b"" if n < 0 else b"\x08" + varint(s) + b"\x10" + varint(n)) for s, n in parts)


def described(name: bytes, dtype: int, sizes: bytes, *slices: bytes) -> bytes:
    return sub(1, sub(1, name) + sub(2, sizes) + b"\x18" + varint(dtype) + b"".join(sub(4, s) for s in slices))


def value(name: bytes, content: bytes) -> bytes:
    return sub(2, sub(1, name) + sub(3, content))


ALL = ((0, -1),)
HALVES = (((0, 2),), ((2, 2),))
ENTRIES = {
    b"": sub(1, described(b"w", 1, shape(3), axes(*ALL)) + described(b"i", 9, shape(4), *(axes(*h) for h in HALVES))),
    slice_key("w", ALL): value(b"w", sub(5, struct.pack("<3f", 1, 2, 3))),
    slice_key("i", HALVES[0]): value(b"i", sub(10, varint(5) + varint((1 << 64) - 7))),
    slice_key("i", HALVES[1]): value(b"i", sub(10, varint(9))),
}


def table(entries: dict[bytes, bytes]) -> bytes:
    made = sstable.build(sorted(entries.items()))
    data = bytearray(made.data)
    for f in made.fixups:
        data[f.targets[0] : f.targets[0] + 4] = checksum(f.kind, [bytes(data[f.offset : f.offset + f.length])])
    return bytes(data)


class TestConformance(ReaderConformance):
    format = "tf-v1-checkpoint"

    def make(self, folder: Path) -> Path:
        (folder / "model.ckpt").write_bytes(table(ENTRIES))
        return folder / "model.ckpt"


def test_values(tmp_path: Path) -> None:
    path = TestConformance().make(tmp_path)
    found = mg.load(path)
    assert found["w"].tolist() == [1, 2, 3]
    assert found["i"].tolist() == [5, -7, 9, 9]  # a short list ends in copies of its last
    assert mg.convert(path, tmp_path / "a.safetensors").verified
    assert np.array_equal(mg.load(tmp_path / "a.safetensors")["i"], found["i"])


def literals(data: bytes) -> bytes:
    """Snappy without any compression."""
    parts = [data[i : i + 60] for i in range(0, len(data), 60)]
    return varint(len(data)) + b"".join(bytes((len(p) - 1 << 2,)) + p for p in parts)


def test_compressed_blocks(tmp_path: Path) -> None:
    """The tensors are read out of the unpacked block."""
    block = sstable._Builder(16)
    for key, data in sorted(ENTRIES.items()):
        block.add(key, data)
    made = bytearray()

    def stored(raw: bytes, kind: int) -> bytes:
        place = varint(len(made)) + varint(len(raw))
        made.extend(raw + bytes((kind,)))
        made.extend(checksum("crc32c-masked", [raw + bytes((kind,))]))
        return place

    index = sstable._Builder(1)
    index.add(b"\xff", stored(literals(block.finish()), 1))
    place = stored(literals(index.finish()), 1)
    (tmp_path / "a.ckpt").write_bytes(bytes(made) + (place * 2).ljust(40, b"\0") + sstable.MAGIC)
    model = read_model(str(tmp_path / "a.ckpt"))
    assert model.tensors["w"].data.extents[0].codec == "snappy"  # type: ignore[union-attr]
    assert mg.load(tmp_path / "a.ckpt")["w"].tolist() == [1, 2, 3]
    assert mg.convert(tmp_path / "a.ckpt", tmp_path / "b.safetensors").verified


HOSTILE = {
    "an entry nobody announced": ({slice_key("x", ALL): ENTRIES[slice_key("w", ALL)]}, InvalidFileError, "announce"),
    "values that do not fit": (
        {slice_key("w", ALL): value(b"w", sub(5, bytes(16)))}, InvalidFileError, "16 bytes of values"),
    "values of another type": (
        {slice_key("w", ALL): value(b"w", sub(6, bytes(16)))}, InvalidFileError, "16 bytes of values"),
    "more numbers than elements": (
        {slice_key("i", HALVES[0]): value(b"i", sub(10, b"\1\2\3"))}, InvalidFileError, "more values"),
    "no values": ({slice_key("w", ALL): sub(2, sub(1, b"w"))}, InvalidFileError, "holds no values"),
    "described twice": (
        {b"": sub(1, described(b"w", 1, shape(3), axes(*ALL)) * 2)}, InvalidFileError, "describes it twice"),
    "a type that is no numbers": (
        {b"": sub(1, described(b"w", 20, shape(3), axes(*ALL)))}, ModelFileError, "."),
    "an axis of 2^62": (
        {b"": sub(1, described(b"w", 1, shape(1 << 62), axes(*ALL)))}, ModelFileError, "."),
    "a slice outside": (
        {b"": sub(1, described(b"i", 9, shape(3), *(axes(*h) for h in HALVES)))}, InvalidFileError, "lies outside"),
}  # fmt: skip


@pytest.mark.parametrize("story", HOSTILE)
def test_hostile(tmp_path: Path, story: str) -> None:
    entries, kind, words = HOSTILE[story]
    (tmp_path / "a.ckpt").write_bytes(table({**ENTRIES, **entries}))
    with pytest.raises(kind, match=words) as caught:
        mg.open(tmp_path / "a.ckpt")
    assert caught.value.path


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    entries = {k: v for k, v in ENTRIES.items() if k != slice_key("i", HALVES[1])}
    (tmp_path / "a.ckpt").write_bytes(table(entries))
    with pytest.raises(InvalidFileError, match="is not there"):
        mg.open(tmp_path / "a.ckpt")


def test_it_is_not_written(tmp_path: Path) -> None:
    path = TestConformance().make(tmp_path)
    with pytest.raises(UnsupportedError):
        mg.convert(path, tmp_path / "b.ckpt", to="tf-v1-checkpoint")


def test_what_stands_beside_it_leads_to_it(tmp_path: Path) -> None:
    TestConformance().make(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    (tmp_path / "model.ckpt.meta").write_bytes(b"\x0a\x02\x22\0")
    with pytest.raises(InvalidFileError, match="of version 1") as caught:
        mg.open(tmp_path / "checkpoint")
    assert caught.value.hint == "name that file"
    with pytest.raises(ModelFileError) as again:
        mg.open(tmp_path / "model.ckpt.meta")
    assert "`model.ckpt`" in (again.value.hint or "")
