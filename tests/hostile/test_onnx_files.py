"""ONNX files that lie: each row the expected error; nothing is allocated, followed or opened that the file has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelglot.containers.protobuf_write import delimited, head, integer, varint
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    ModelFileError,
    UnsafeContentError,
    UnsupportedError,
)
from modelglot.core.limits import Limits
from modelglot.formats.onnx import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.refusal import refused

OPSET = delimited(8, integer(2, 17))
RAW = delimited(9, bytes(8))
W = delimited(8, "w")
HUGE = 1 << 62


def model(*graph: bytes) -> bytes:
    return integer(1, 8) + delimited(7, b"".join(graph)) + OPSET


def weight(*fields: bytes) -> bytes:
    return model(delimited(5, b"".join(fields)))


def typed(kind: int, dims: int, *fields: bytes) -> bytes:
    return weight(integer(1, dims), integer(2, kind), W, *fields)


def external(**entries: str) -> bytes:
    pairs = b"".join(delimited(13, delimited(1, key) + delimited(2, value)) for key, value in entries.items())
    return typed(1, 2, pairs, integer(14, 1))


def nested_graphs(depth: int) -> bytes:
    graph = delimited(2, "g")
    for _ in range(depth):
        graph = delimited(1, delimited(4, "If") + delimited(5, delimited(1, "then_branch") + delimited(6, graph)))
    return integer(1, 8) + delimited(7, graph) + OPSET


def nested_types(depth: int) -> bytes:
    kind = b""
    for _ in range(depth):
        kind = delimited(4, delimited(1, kind))
    return model(delimited(11, delimited(1, "x") + delimited(2, kind)))


ROWS = {
    "no graph": (integer(1, 8) + OPSET, InvalidFileError, "no graph"),
    "graph past the end": (integer(1, 8) + head(7, HUGE), DamagedFileError, "field 7"),
    "graph is a number": (integer(1, 8) + integer(7, 3), InvalidFileError, "number where bytes belong"),
    "number without an end": (integer(1, 8) + b"\x3a\xff\xff\xff", DamagedFileError, "inside a number"),
    "number of eleven bytes": (b"\x08" + b"\xff" * 10 + b"\x01", InvalidFileError, "more than ten bytes"),
    "a group": (model(b"\x0b\x0c"), InvalidFileError, "wire type 3"),
    "field 0": (model(b"\x02\x00"), InvalidFileError, "number 0"),
    "tensor past its graph": (integer(1, 8) + delimited(7, head(5, 100) + b"\x08") + bytes(200), DamagedFileError, "5"),
    "unknown element type": (typed(99, 2, RAW), InvalidFileError, "element type 99"),
    "no element type": (weight(integer(1, 2), W, RAW), InvalidFileError, "element type 0"),
    "negative size": (typed(1, -2, RAW), InvalidFileError, "[-2]"),
    "2^63 elements": (typed(1, 1 << 63, RAW), InvalidFileError, "not a list of sizes"),
    "2^60 elements of raw data": (typed(1, 1 << 60, RAW), InvalidFileError, "need "),
    "shape that overflows": (
        weight(*(integer(1, 1 << 40) for _ in range(8)), integer(2, 1), W, RAW), InvalidFileError, "need "),
    "ten thousand axes": (weight(*[integer(1, 1 << 60)] * 10_000, integer(2, 1), W, RAW), LimitError, "axes"),
    "too little raw data": (typed(1, 3, RAW), InvalidFileError, "8 bytes of data"),
    "too much raw data": (typed(1, 1, RAW), InvalidFileError, "8 bytes of data"),
    "raw data past the end": (integer(1, 8) + head(7, 40) + head(5, 30) + integer(1, 2) + integer(2, 1) + W
                              + head(9, 1 << 40), DamagedFileError, "field"),
    "elements in two fields": (typed(1, 2, RAW, delimited(4, bytes(8))), InvalidFileError, "more than one field"),
    "elements in a field of another type": (typed(1, 2, delimited(7, b"\1\1")), InvalidFileError, "field 7"),
    "fewer varints than elements": (typed(7, 9, delimited(7, b"\1\2")), InvalidFileError, "2 elements"),
    "2^50 elements as varints": (typed(7, 1 << 50, delimited(7, b"\1" * 64)), InvalidFileError, "64 elements"),
    "more varints than elements": (typed(7, 1, delimited(7, b"\1" * 11)), InvalidFileError, "elements"),
    "name of 100 kB": (weight(integer(1, 2), integer(2, 1), delimited(8, "n" * 100_000), RAW), LimitError, "name"),
    "segments": (typed(1, 2, delimited(3, integer(1, 0)), RAW), UnsupportedError, "segments"),
    "graphs in graphs": (nested_graphs(200), LimitError, "nesting"),
    "types in types": (nested_types(500), LimitError, "nesting"),
    "external data without a place": (external(offset="0"), InvalidFileError, "location"),
    "external data above": (external(location="../x"), UnsafeContentError, "outside its folder"),
    "external data by an absolute path": (external(location="/etc/passwd"), UnsafeContentError, "outside its folder"),
    "external data with a NUL": (external(location="a\0b"), UnsafeContentError, "outside its folder"),
    "external data through a link": (external(location="link"), UnsafeContentError, "leaves the folder"),
    "external data through a linked folder": (external(location="d/host"), UnsafeContentError, "leaves the folder"),
    "external data past the end": (external(location="short", offset="5"), DamagedFileError, "after the end"),
    "external data at 2^63": (external(location="short", offset=str(1 << 63)), DamagedFileError, "after the end"),
    "external data at a negative place": (external(location="short", offset="-1"), InvalidFileError, "not a number"),
    "external data of another length": (external(location="short", length="9"), InvalidFileError, "9 bytes"),
    "external data at a place of 5,000 digits": (
        external(location="short", offset="9" * 5000), InvalidFileError, "not a number"),
    "a million empty nodes as one": (model(head(1, 1 << 50)), DamagedFileError, "field 1"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(content: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "host").write_bytes(b"secrets!")
    (folder / "link").symlink_to(tmp_path / "host")
    (folder / "d").symlink_to(tmp_path)
    (folder / "short").write_bytes(bytes(8))
    path = folder / "model.onnx"
    path.write_bytes(content)
    refused(FORMAT, path, error, text)


def test_a_million_small_tensors_reach_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    one = delimited(5, integer(1, 0) + integer(2, 1) + W)
    path.write_bytes(model(one * 40))
    with pytest.raises(LimitError, match="tensors"):
        FORMAT.read(LocalFiles(str(path)), Limits(tensors=30))


def test_numbers_that_are_not_as_many_as_the_shape_says_are_found_when_they_are_read(tmp_path: Path) -> None:
    import modelglot as mg

    path = tmp_path / "model.onnx"
    path.write_bytes(typed(7, 3, delimited(7, b"".join(varint(v) for v in (1, 300, 5, 7)))))
    with pytest.raises(InvalidFileError, match="shape"):
        mg.load(path)
