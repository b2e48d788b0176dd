"""TensorFlow graphs in one file, made by hand from their description."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers.protobuf import fields
from modelglot.containers.sstable import varint
from modelglot.core.errors import InvalidFileError, LimitError, ModelFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles
from modelglot.testing.conformance import ReaderConformance


def sub(number: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value: bytes) -> bytes:
    return sub(5, sub(1, name) + sub(2, value))


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    made = b"".join(attribute(k, v) for k, v in attributes.items())
    return sub(1, sub(1, name) + sub(2, op) + b"".join(sub(3, i) for i in inputs) + made)


def shape(*sizes: int) -> bytes:
    return b"".join(sub(2, b"\x08" + varint(s & (1 << 64) - 1)) for s in sizes)


def const(name: str, dtype: int, sizes: tuple[int, ...], values: bytes) -> bytes:
    tensor = b"\x08" + varint(dtype) + sub(2, shape(*sizes)) + values
    return node(name, "Const", dtype=b"\x30" + varint(dtype), value=sub(8, tensor))


KERNEL = const("kernel", 1, (2, 3), sub(4, struct.pack("<6f", *range(6))))
BIAS = const("bias", 1, (3,), sub(5, struct.pack("<f", 7)))
AXIS = const("axis", 3, (1,), b"\x38" + varint((1 << 64) - 1))
NAMES = const("names", 7, (2,), sub(8, "cat") + sub(8, "dog"))
X = node("x", "Placeholder", dtype=b"\x30\x01", shape=sub(7, shape(-1, 2)))
PRODUCT = node("product", "MatMul", "x", "kernel")
SUM = node("sum", "BiasAdd", "product", "bias", T=b"\x30\x01")
GRAPH = X + KERNEL + BIAS + AXIS + NAMES + PRODUCT + SUM + sub(4, b"\x08\x1a")


def written(folder: Path, raw: bytes) -> Path:
    (folder / "graph.pb").write_bytes(raw)
    return folder / "graph.pb"


class TestConformance(ReaderConformance):
    format = "tf-graph"

    def make(self, folder: Path) -> Path:
        return written(folder, GRAPH)

    def _still_whole(self, model: Model, whole: bytes, length: int) -> bool:
        """A message says nothing of its length: a file cut between two nodes is a smaller graph."""
        ends = {f.at + f.length for f in fields(whole)}
        return length in ends


def test_what_is_in_it(tmp_path: Path) -> None:
    model = read_model(str(written(tmp_path, GRAPH)))
    values = mg.load(tmp_path / "graph.pb")
    assert {n: v.tolist() for n, v in values.items()} == {
        "kernel": [[0, 1, 2], [3, 4, 5]],
        "bias": [7] * 3,
        "axis": [-1],
    }
    assert list(model.metadata["tf:string:names"]) == ["cat", "dog"]
    assert {t.name: t.extra.get("layer:role") for t in model.tensors.values()} == {
        "kernel": "kernel", "bias": "bias", "axis": None}  # fmt: skip
    assert model.tensors["kernel"].extra["layer:axes"] == "io"
    (main,) = model.graph.signatures  # type: ignore[union-attr]
    assert [str(p) for p in (*main.inputs, *main.outputs)] == ["x [?, 2] f32", "sum [...] f32"]
    assert mg.convert(tmp_path / "graph.pb", tmp_path / "a.safetensors").verified


def test_a_graph_that_is_not_frozen(tmp_path: Path) -> None:
    model = read_model(str(written(tmp_path, X + node("w", "VariableV2") + node("y", "MatMul", "x", "w"))))
    assert not model.tensors
    assert [n.code for n in model.notes] == ["graph-without-weights"]


def test_functions_have_constants_too(tmp_path: Path) -> None:
    function = sub(1, sub(1, sub(1, "cell")) + sub(3, KERNEL[2:] if KERNEL[1] < 128 else KERNEL[3:]))
    model = read_model(str(written(tmp_path, X + sub(2, function))))
    assert list(model.tensors) == ["cell/kernel"]
    assert model.graph.functions == ("cell",)  # type: ignore[union-attr]


def test_operators_that_reach_outside(tmp_path: Path) -> None:
    path = written(tmp_path, GRAPH + node("evil", "WriteFile", "names", "names"))
    found = list(registry.get("tf-graph").hazards(LocalFiles(str(path)), Limits()))
    assert [(f.rule, f.severity) for f in found] == [("tf-operator", "unsafe")]
    assert "writes a file" in found[0].what


HOSTILE = {
    "bytes that do not fit the shape": (const("w", 1, (4,), sub(4, bytes(15))), InvalidFileError, "15 bytes"),
    "a shape of 2^62 elements": (const("w", 1, (1 << 31, 1 << 31), sub(4, bytes(4))), InvalidFileError, "4 bytes"),
    "one value for 2^40 elements": (const("w", 1, (1 << 40,), sub(5, bytes(4))), LimitError, "copies of one value"),
    "one number for 2^40 elements": (const("w", 3, (1 << 40,), b"\x38\x01"), LimitError, "copies of one value"),
    "nothing for 2^40 elements": (const("w", 1, (1 << 40,), b""), LimitError, "copies of one value"),
    "a negative axis": (const("w", 1, (-5,), sub(4, bytes(4))), InvalidFileError, "no size"),
    "values of two types": (const("w", 1, (1,), sub(5, bytes(4)) + b"\x38\x01"), InvalidFileError, "several types"),
    "two nodes of one name": (KERNEL + KERNEL, InvalidFileError, "one name"),
    "resources": (const("w", 20, (1,), b""), UnsupportedError, "resource"),
    "floats as numbers": (const("w", 1, (1,), b"\x28\x01"), InvalidFileError, "0 bytes"),
    "a shape that is a number": (
        node("w", "Const", value=sub(8, b"\x08\x01\x10\x05")), InvalidFileError, "where bytes belong"),
    "no message": (node("w", "Const", value=sub(8, b"\xff\xff\xff")), ModelFileError, "."),
}  # fmt: skip


@pytest.mark.parametrize("story", HOSTILE)
def test_hostile(tmp_path: Path, story: str) -> None:
    raw, kind, words = HOSTILE[story]
    with pytest.raises(kind, match=words) as caught:
        read_model(str(written(tmp_path, raw)))
    assert caught.value.path
