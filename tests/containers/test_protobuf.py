"""Fields of protocol buffers, in memory and in a file: the same ones, and the large ones are left where they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelglot.containers.protobuf import Field, fields, varints
from modelglot.containers.protobuf_file import SMALL, message
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError
from modelglot.core.limits import Limits
from modelglot.sources.file import FileSource

Walk = Callable[[bytes], Iterator[Field]]


class Counted(FileSource):
    calls = read = 0

    def pread(self, offset: int, length: int) -> bytes:
        self.calls += 1
        self.read += length
        return super().pread(offset, length)


@pytest.fixture(params=["memory", "file"])
def walk(request: pytest.FixtureRequest, tmp_path: Path) -> Walk:
    if request.param == "memory":
        return fields

    def in_file(data: bytes) -> Iterator[Field]:
        path = tmp_path / "message.pb"
        path.write_bytes(b"xyz" + data + b"after")
        return message(FileSource(str(path)), Limits(), 3, len(data))

    return in_file


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def delimited(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def test_a_message_of_the_reference_library(walk: Walk) -> None:
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    made = descriptor_pb2.FileDescriptorProto(name="n" * 5000, package="käfer", public_dependency=[1, 300, -1])
    made.options.java_package = "x" * 9000
    made.options.optimize_for = descriptor_pb2.FileOptions.LITE_RUNTIME
    by_number: dict[int, list[Field]] = {}
    for field in walk(made.SerializeToString()):
        by_number.setdefault(field.number, []).append(field)
    assert by_number[1][0].text == made.name
    assert by_number[1][0].length == 5000
    assert by_number[2][0].text == "käfer"
    assert [f.signed for f in by_number[10]] == [1, 300, -1]
    inner = {f.number: f for f in by_number[8][0].fields()}
    assert inner[1].text == made.options.java_package
    assert inner[9].number_value == 3


def test_packed_numbers() -> None:
    assert list(varints(varint(3) + varint(270) + varint(86942))) == [3, 270, 86942]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x08", DamagedFileError),  # a key without its number
        (b"\x08\xff\xff", DamagedFileError),  # the end inside a number
        (b"\x88", DamagedFileError),  # the end inside a key
        (b"\x08" + b"\xff" * 10 + b"\x01", InvalidFileError),  # eleven bytes of number
        (b"\x12\x05abc", DamagedFileError),  # bytes past the end of the message
        (b"\x12" + varint(1 << 62), DamagedFileError),
        (b"\x0d\x00\x00", DamagedFileError),  # half a fixed32
        (b"\x0b\x0c", InvalidFileError),  # a group
        (b"\x0e\x00", InvalidFileError),  # wire type 6
        (b"\x02\x00", InvalidFileError),  # field number 0
        (delimited(1, b"\x0a\x7fab"), DamagedFileError),  # a nested message that would leave its own
    ],
)
def test_what_is_wrong_is_an_error_with_its_place(walk: Walk, data: bytes, error: type[Exception]) -> None:
    def whole() -> list[Field]:
        return [part for field in walk(data) if field.number == 1 for part in field.fields()]

    with pytest.raises(error) as caught:
        whole()
    assert caught.value.offset is not None  # type: ignore[attr-defined]


def test_a_number_where_bytes_belong(walk: Walk) -> None:
    (field,) = walk(b"\x08\x05")
    for wrong in (lambda: field.bytes, lambda: field.length, lambda: field.fields(), lambda: field.text):
        with pytest.raises(InvalidFileError):
            wrong()


def test_a_large_file_of_few_fields_is_walked_in_milliseconds(tmp_path: Path) -> None:
    path, size = tmp_path / "large.pb", 1 << 30
    with path.open("wb") as file:
        for _ in range(3):
            file.write(varint(1 << 3 | 2) + varint(size + 6) + varint(9 << 3 | 2) + varint(size))
            file.seek(size, os.SEEK_CUR)
        file.truncate()
    source = Counted(str(path))
    began = time.perf_counter()
    inner = [part for field in message(source, Limits()) for part in field.fields()]
    assert time.perf_counter() - began < 0.05
    assert [p.length for p in inner] == [size] * 3
    assert source.calls <= 6
    assert source.read < 64 << 10
    with pytest.raises(LimitError):
        _ = inner[0].bytes


def test_many_small_fields_are_read_in_few_calls(tmp_path: Path) -> None:
    path = tmp_path / "small.pb"
    path.write_bytes(delimited(1, b"name of a tensor") * 100_000)
    source = Counted(str(path))
    assert sum(field.length for field in message(source, Limits())) == 1_600_000
    assert source.calls < 60


def test_fields_between_large_ones_do_not_read_the_large_ones(tmp_path: Path) -> None:
    path = tmp_path / "mixed.pb"
    path.write_bytes((delimited(1, b"name") + delimited(2, bytes(40_000))) * 500)
    source = Counted(str(path))
    found = list(message(source, Limits()))
    assert [f.length for f in found] == [4, 40_000] * 500
    assert source.read < 2_000_000
    assert all(f.length <= SMALL or bytes(f.bytes) == bytes(40_000) for f in found[:4])


def test_a_message_longer_than_the_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "short.pb"
    path.write_bytes(b"\x08\x01")
    with pytest.raises(DamagedFileError):
        message(FileSource(str(path)), Limits(), 0, 3)
