"""Paddle files that lie: each row the expected error; nothing is allocated that the file has not."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from modelglot.containers.protobuf_write import delimited, head, integer
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    ModelFileError,
    UnsafeContentError,
    UnsupportedError,
)
from modelglot.core.limits import Limits
from modelglot.formats.paddle import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.refusal import refused


def described(kind: int, *shape: int) -> bytes:
    return integer(1, kind) + b"".join(integer(2, size) for size in shape)


def program(name: str = "w", kind: int = 5, *shape: int) -> bytes:
    inside = integer(1, 7) + delimited(3, delimited(1, described(kind, *(shape or (2,)))))
    variable = delimited(1, name) + delimited(2, inside) + integer(3, 1)
    return delimited(1, integer(1, 0) + integer(2, 0) + delimited(3, variable))


def saved(about: bytes, data: bytes = bytes(8), levels: bytes = struct.pack("<Q", 0), length: int = -1) -> bytes:
    return bytes(4) + levels + struct.pack("<II", 0, len(about) if length < 0 else length) + about + data


TWO = described(5, 2)
ROWS: dict[str, tuple[bytes, bytes, type[ModelFileError], str]] = {
    "no block": (delimited(4, integer(1, 0)), b"", InvalidFileError, "no block"),
    "a block past the end": (head(1, 1 << 62), b"", DamagedFileError, "field 1"),
    "a block that is a number": (integer(1, 3), b"", InvalidFileError, "number where bytes belong"),
    "fewer weights than names": (program(), b"", InvalidFileError, "0 weights"),
    "more weights than names": (program(), saved(TWO) * 2, InvalidFileError, "more than"),
    "another type": (program(), saved(described(2, 2)), InvalidFileError, "the program says f32"),
    "another shape": (program(), saved(described(5, 1, 2)), InvalidFileError, "[1, 2]"),
    "a head that ends": (program(), bytes(7), DamagedFileError, "inside the head"),
    "data that ends": (program(), saved(TWO, bytes(7)), DamagedFileError, "1 bytes after"),
    "2^62 elements": (program(), saved(described(5, 1 << 62)), InvalidFileError, "not a list of sizes"),
    "2^61 elements": (program(), saved(described(5, 1 << 61)), DamagedFileError, "after the end"),
    "a negative size": (program(), saved(described(5, -1)), InvalidFileError, "not a list of sizes"),
    "an unknown type": (program(), saved(described(99, 2)), UnsupportedError, "type 99"),
    "version 7": (program(), b"\7\0\0\0" + saved(TWO)[4:], InvalidFileError, "version 7"),
    "2^60 levels of detail": (program(), saved(TWO, levels=struct.pack("<Q", 1 << 60)), LimitError, "levels"),
    "a level past the end": (program(), saved(TWO, levels=struct.pack("<QQ", 1, 1 << 60)), DamagedFileError, "inside"),
    "a description of 2 GB": (program(), saved(TWO, length=0x7FFFFFFF), InvalidFileError, "description"),
    "ten thousand axes": (program(), saved(described(5, *[1] * 1500)), InvalidFileError, "64 axes"),
}


@pytest.mark.parametrize(("structure", "weights", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(structure: bytes, weights: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    (tmp_path / "m.pdmodel").write_bytes(structure)
    (tmp_path / "m.pdiparams").write_bytes(weights)
    refused(FORMAT, tmp_path / "m.pdmodel", error, text)


@pytest.mark.parametrize("name", ["../host", "/etc/passwd", "link"])
def test_a_weight_called_like_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    """In a folder with a file for each weight its name is that of the file."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "host").write_bytes(saved(TWO))
    (folder / "link").symlink_to(tmp_path / "host")
    (folder / "__model__").write_bytes(program(name))
    with pytest.raises(UnsafeContentError):
        FORMAT.read(LocalFiles(str(folder)), Limits())
