"""Core ML files that lie: each row the expected error; nothing is allocated or opened that the file has not."""

from __future__ import annotations

import json
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
from modelglot.formats.coreml import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.refusal import refused


def network(*layers: bytes) -> bytes:
    return integer(1, 5) + delimited(500, b"".join(layers))


def layer(kind: int, body: bytes, name: str = "k") -> bytes:
    return delimited(1, delimited(1, name) + delimited(kind, body))


def dense(weights: bytes, inner: int = 2, out: int = 1) -> bytes:
    return network(layer(140, integer(1, inner) + integer(2, out) + delimited(20, weights)))


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = layer(605, delimited(1, inner))
    return network(inner)


def pipelines(depth: int) -> bytes:
    inner = network()
    for _ in range(depth):
        inner = integer(1, 5) + delimited(202, delimited(1, inner))
    return inner


def program(value: bytes) -> bytes:
    const = (
        delimited(1, "const")
        + delimited(3, delimited(1, "c"))
        + delimited(5, delimited(1, "val") + delimited(2, value))
    )
    block = delimited(2, delimited(3, const))
    return integer(1, 5) + delimited(502, delimited(2, delimited(1, "main") + delimited(2, delimited(3, block))))


def kind(number: int, *sizes: int) -> bytes:
    return delimited(
        2, delimited(1, integer(1, number) + b"".join(delimited(3, delimited(1, integer(1, s))) for s in sizes))
    )


def blob(offset: int, name: str = "@model_path/w.bin") -> bytes:
    return delimited(5, delimited(1, name) + integer(2, offset))


def blocks(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = delimited(3, delimited(1, "cond") + delimited(4, inner))
    return integer(1, 5) + delimited(
        502, delimited(2, delimited(1, "f") + delimited(2, delimited(3, delimited(2, inner))))
    )


TWO = delimited(1, bytes(8))
RAW = delimited(30, bytes(2))
ROWS: dict[str, tuple[bytes, type[ModelFileError], str]] = {
    "no model": (integer(1, 5), InvalidFileError, "no model"),
    "network past the end": (integer(1, 5) + head(500, 1 << 62), DamagedFileError, "field 500"),
    "a network that is a number": (integer(1, 5) + integer(500, 3), InvalidFileError, "number where bytes belong"),
    "weights past their layer": (network(layer(140, head(20, 1 << 40))), DamagedFileError, "field 20"),
    "too few floats": (dense(TWO, 3), InvalidFileError, "need 12"),
    "2^80 floats": (dense(TWO, 1 << 40, 1 << 40), InvalidFileError, "8 bytes of data"),
    "floats and halves": (dense(TWO + delimited(2, bytes(4))), InvalidFileError, "more than one field"),
    "weights of 40 bits": (dense(RAW + delimited(40, integer(1, 40))), InvalidFileError, "40 bits"),
    "weights of 0 bits": (dense(RAW + delimited(40, integer(1, 0))), InvalidFileError, "0 bits"),
    "too few bits": (dense(RAW + delimited(40, integer(1, 3)), 99), InvalidFileError, "2 bytes of data"),
    "scales of three bytes": (dense(RAW + delimited(40, delimited(101, delimited(1, b"abc")))), InvalidFileError,
                              "no floats"),
    "a hundred axes": (network(layer(1070, delimited(1, bytes([1] * 100)) + delimited(2, TWO))), InvalidFileError,
                       "axes"),
    "a name of 100 kB": (network(layer(140, integer(1, 2) + integer(2, 1) + delimited(20, TWO), "n" * 100_000)),
                         LimitError, "name"),
    "networks in networks": (nested(200), LimitError, "networks inside"),
    "pipelines in pipelines": (pipelines(200), LimitError, "pipelines inside"),
    "blocks in blocks": (blocks(300), LimitError, "blocks inside"),
    "a constant without a shape": (program(delimited(2, delimited(1, integer(1, 11) + delimited(3, delimited(2, b""))))
                                           + blob(64)), InvalidFileError, "fixed shape"),
    "an unknown element type": (program(kind(99, 2) + blob(64)), UnsupportedError, "element type 99"),
    "weights above": (program(kind(11, 2) + blob(64, "@model_path/../x")), UnsafeContentError, "outside its folder"),
    "weights by an absolute path": (program(kind(11, 2) + blob(64, "/etc/passwd")), UnsafeContentError, "outside"),
    "a blob past the end": (program(kind(11, 2) + blob(1 << 60)), DamagedFileError, "after the end"),
    "a blob that is none": (program(kind(11, 2) + blob(0)), InvalidFileError, "no value"),
    "a blob whose data is past the end": (program(kind(11, 2) + blob(128)), DamagedFileError, "after the end"),
    "a blob of another length": (program(kind(11, 3) + blob(64)), InvalidFileError, "8 bytes in the weight file"),
    "a weight file of another version": (program(kind(11, 2) + blob(64, "@model_path/old.bin")), UnsupportedError,
                                         "version 1"),
    "a weight file of two bytes": (program(kind(11, 2) + blob(64, "@model_path/short.bin")), DamagedFileError,
                                   "too short"),
    "floats inside that are too few": (program(kind(11, 3) + delimited(3, delimited(1, delimited(1, delimited(
        1, bytes(8)))))), InvalidFileError, "need 12"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(content: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    entries = struct.pack("<IIQQ", 0xDEADBEEF, 2, 8, 200).ljust(64, b"\0") + struct.pack(
        "<IIQQ", 0xDEADBEEF, 2, 8, 1 << 50
    )
    (tmp_path / "w.bin").write_bytes(struct.pack("<II", 2, 2).ljust(64, b"\0") + entries.ljust(256, b"\0"))
    (tmp_path / "old.bin").write_bytes(struct.pack("<II", 1, 1).ljust(64, b"\0"))
    (tmp_path / "short.bin").write_bytes(b"ab")
    path = tmp_path / "m.mlmodel"
    path.write_bytes(content)
    refused(FORMAT, path, error, text)


@pytest.mark.parametrize(
    ("manifest", "error"),
    [
        ("{}", InvalidFileError), ("[]", InvalidFileError), ("{", InvalidFileError),
        ('{"rootModelIdentifier": ["a"], "itemInfoEntries": {}}', InvalidFileError),
        ('{"rootModelIdentifier": "A", "itemInfoEntries": {"A": {"path": 3}}}', InvalidFileError),
        (json.dumps({"rootModelIdentifier": "A", "itemInfoEntries": {"A": {"path": "../../x"}}}), UnsafeContentError),
    ],
)  # fmt: skip
def test_manifests_that_lie(manifest: str, error: type[ModelFileError], tmp_path: Path) -> None:
    package = tmp_path / "m.mlpackage"
    package.mkdir()
    (package / "Manifest.json").write_text(manifest)
    with pytest.raises(error):
        FORMAT.read(LocalFiles(str(package)), Limits())
