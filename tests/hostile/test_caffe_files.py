"""Caffe files that lie: each row the expected error; nothing is allocated that the file has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelglot.containers.protobuf_write import delimited, head, integer
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.formats.caffe import FORMAT
from modelglot.testing.refusal import refused

SHAPE = delimited(7, delimited(1, b"\2"))
DATA = delimited(5, bytes(8))


def net(*blobs: bytes, name: str = "l") -> bytes:
    return delimited(100, delimited(1, name) + delimited(2, "Scale") + b"".join(delimited(7, b) for b in blobs))


def sizes(*values: int) -> bytes:
    return delimited(7, b"".join(integer(1, v) for v in values))


ROWS: dict[str, tuple[bytes, type[ModelFileError], str]] = {
    "no layer": (delimited(1, "net"), InvalidFileError, "no layer"),
    "a layer past the end": (head(100, 1 << 62), DamagedFileError, "field 100"),
    "a blob past its layer": (delimited(100, head(7, 1 << 40)), DamagedFileError, "field 7"),
    "a layer that is a number": (integer(100, 3), InvalidFileError, "number where bytes belong"),
    "a group": (b"\x0b\x0c", InvalidFileError, "wire type 3"),
    "too little data": (net(sizes(3) + DATA), InvalidFileError, "need 12"),
    "2^120 numbers": (net(sizes(1 << 60, 1 << 60) + DATA), InvalidFileError, "need"),
    "a negative size": (net(sizes(-1) + DATA), InvalidFileError, "not a list of sizes"),
    "ten thousand axes": (net(sizes(*[1] * 10_000) + DATA), InvalidFileError, "64 axes"),
    "ten thousand packed axes": (
        net(delimited(7, delimited(1, bytes([1]) * 10_000)) + DATA),
        InvalidFileError,
        "64 axes",
    ),
    "floats and doubles": (net(SHAPE + DATA + delimited(8, bytes(16))), InvalidFileError, "more than one field"),
    "raw data of type 9": (net(SHAPE + integer(10, 9) + delimited(12, bytes(8))), UnsupportedError, "type 9"),
    "a name of 100 kB": (net(SHAPE + DATA, name="n" * 100_000), LimitError, "name"),
    "a name that is a number": (delimited(100, integer(1, 7)), InvalidFileError, "number where bytes belong"),
}


@pytest.mark.parametrize(("content", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(content: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.caffemodel"
    path.write_bytes(content)
    refused(FORMAT, path, error, text)
