"""TensorFlow Lite files that lie: each row the expected error; nothing is allocated or followed that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    ModelFileError,
    UnsafeContentError,
    UnsupportedError,
)
from modelglot.core.limits import Limits
from modelglot.formats.tflite import FORMAT
from modelglot.sources.file import LocalFiles
from modelglot.testing.refusal import refused
from modelglot.testing.tiny_flatbuffer import Vector, build, data, number, vector

HUGE = 0x7FFF_FFFF
W = {0: vector("i", 2), 1: number(0, 1), 2: number(1), 3: "w"}
DATA = {0: data(bytes(8))}


def model(tensor: dict[int, Any] = W, buffers: Any = ({}, DATA), **more: Any) -> bytes:
    graph = {0: [tensor], 1: vector("i", 0), 2: vector("i", 0)} | more.pop("graph", {})
    root = {0: number(3), 1: [{0: number(9, 1)}], 2: [graph], 4: list(buffers)}
    return build(root | {int(k[1:]): v for k, v in more.items()})


def with_bytes(raw: bytes, at: Callable[[bytes], int], new: bytes) -> bytes:
    place = at(raw)
    return raw[:place] + new + raw[place + len(new) :]


def root_place(raw: bytes) -> int:
    return int.from_bytes(raw[:4], "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


LYING = Vector(1 << 30, b"")  # says 2^30 elements, has none
ROWS: dict[str, tuple[bytes, type[ModelFileError], str]] = {
    "nothing but the mark": (u32(8) + b"TFL3", DamagedFileError, "after the end"),
    "root at zero": (u32(0) + b"TFL3" + bytes(40), InvalidFileError, "offset of zero"),
    "root past the end": (u32(HUGE) + b"TFL3" + bytes(40), DamagedFileError, "after the end"),
    "fields before the file": (with_bytes(model(), root_place, u32(HUGE)), DamagedFileError, "offset leads"),
    "fields past the end": (with_bytes(model(), root_place, (-HUGE & 0xFFFFFFFF).to_bytes(4, "little")),
                            DamagedFileError, "after the end"),
    "fields of three bytes": (b"\x0c\0\0\0TFL3\x03\0\x04\0\x04\0\0\0", InvalidFileError, "is none"),
    "a table of two bytes": (b"\x0c\0\0\0TFL3\x04\0\x02\0\x04\0\0\0", InvalidFileError, "is none"),
    "a field outside its table": (b"\x10\0\0\0TFL3\x06\0\x04\0\x20\0\0\0\x08\0\0\0" + bytes(64), InvalidFileError,
                                  "outside its table"),
    "version 1": (build({0: number(1)}), UnsupportedError, "version 1"),
    "no subgraph": (build({0: number(3)}), InvalidFileError, "no subgraph"),
    "2^30 subgraphs": (build({0: number(3), 2: LYING}), DamagedFileError, "1,073,741,824 elements"),
    "2^30 buffers": (build({0: number(3), 4: LYING}), DamagedFileError, "1,073,741,824 elements"),
    "a buffer of 2^30 bytes": (model(buffers=({}, {0: LYING})), DamagedFileError, "1,073,741,824 elements"),
    "a buffer behind the end": (model(buffers=({}, {1: number(1 << 62, 8), 2: number(8, 8)})), DamagedFileError,
                                "a buffer ends"),
    "a buffer that is not there": (model(W | {2: number(9)}), InvalidFileError, "buffer 9 of 2"),
    "an unknown type": (model(W | {1: number(77, 1)}), InvalidFileError, "type 77"),
    "a resource with data": (model(W | {1: number(13, 1)}), InvalidFileError, "resource"),
    "a negative size": (model(W | {0: vector("i", -2)}), InvalidFileError, "[-2]"),
    "2^62 elements": (model(W | {0: vector("i", HUGE, HUGE)}), InvalidFileError, "needs"),
    "a hundred axes": (model(W | {0: vector("i", *[1] * 100)}), InvalidFileError, "list of sizes"),
    "too little data": (model(W | {0: vector("i", 3)}), InvalidFileError, "8 bytes"),
    "a name of 100 kB": (model(W | {3: "n" * 100_000}), LimitError, "limit"),
    "an operator code that is not there": (model(graph={3: [{0: number(5)}]}), InvalidFileError, "operator code 5"),
    "an input that is not there": (model(graph={1: vector("i", 4)}), InvalidFileError, "tensor 4 of 1"),
    "an input below zero": (model(graph={1: vector("i", -7)}), InvalidFileError, "tensor -7"),
    "a signature of no subgraph": (model(f7=[{4: number(3)}]), InvalidFileError, "subgraph 3 of 1"),
    "metadata in no buffer": (model(f6=[{0: "m", 1: number(6)}]), InvalidFileError, "buffer 6 of 2"),
    "external data of no group": (model(f9=[{0: number(1), 1: number(2)}]), InvalidFileError, "group 2 of 0"),
    "external data above": (model(W | {10: number(7)}, f8=[{0: "../x"}], f9=[{0: number(7), 3: number(8, 8)}]),
                            UnsafeContentError, "outside its folder"),
    "external data past the end": (model(W | {10: number(7)}, f8=[{0: "beside"}],
                                         f9=[{0: number(7), 2: number(1 << 62, 8), 3: number(8, 8)}]),
                                   DamagedFileError, "after the end"),
    "texts past the end": (model(W | {1: number(5, 1)}, ({}, {0: data(u32(9) + bytes(8))})), DamagedFileError,
                           "9 texts"),
    "texts that go back": (model(W | {1: number(5, 1)}, ({}, {0: data(u32(2) + u32(16) + u32(3) + u32(16))})),
                           DamagedFileError, "do not ascend"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "error", "text"), ROWS.values(), ids=ROWS)
def test_is_refused(content: bytes, error: type[ModelFileError], text: str, tmp_path: Path) -> None:
    (tmp_path / "beside").write_bytes(bytes(8))
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    refused(FORMAT, path, error, text)


def test_what_is_made_by_hand_is_whole(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(model())
    assert list(FORMAT.read(LocalFiles(str(tmp_path / "model.tflite")), Limits()).tensors) == ["w"]


def test_one_table_in_many_places_reaches_the_limit(tmp_path: Path) -> None:
    """Offsets may share what they lead to: a small file can describe very many tensors."""
    raw = bytearray(model(graph={0: [W] * 300}))
    path = tmp_path / "model.tflite"
    path.write_bytes(raw)
    with pytest.raises(LimitError, match="tensors"):
        FORMAT.read(LocalFiles(str(path)), Limits(tensors=200))
