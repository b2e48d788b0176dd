"""Caffe: the promises of a reader, and files made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.containers.protobuf_write import delimited, integer
from modelglot.core.errors import ModelFileError
from modelglot.core.layer import AXES, GATES, KIND, ROLE
from modelglot.core.tensor import Missing
from modelglot.testing.conformance import ReaderConformance

NUMBERS = struct.pack("<6f", *range(6))


def blob(*shape: int, data: bytes | None = None) -> bytes:
    raw = data if data is not None else bytes(4 * int(np.prod(shape)))
    return delimited(7, delimited(1, bytes(shape))) + delimited(5, raw)


def layer(name: str, kind: str, *blobs: bytes, bottom: str = "x", top: str = "", more: bytes = b"") -> bytes:
    """Of the newer generation."""
    head = delimited(1, name) + delimited(2, kind) + delimited(3, bottom) + delimited(4, top or name)
    return delimited(100, head + b"".join(delimited(7, b) for b in blobs) + more)


def old_layer(name: str, kind: int, *blobs: bytes) -> bytes:
    head = delimited(2, "x") + delimited(3, name) + delimited(4, name) + integer(5, kind)
    return delimited(2, head + b"".join(delimited(6, b) for b in blobs))


def legacy(*sizes: int, data: bytes = NUMBERS) -> bytes:
    return b"".join(integer(number, size) for number, size in enumerate(sizes, 1)) + delimited(5, data)


def put(folder: Path, *parts: bytes) -> Path:
    path = folder / "m.caffemodel"
    path.write_bytes(delimited(1, "net") + b"".join(parts))
    return path


class TestCaffe(ReaderConformance):
    format = "caffe"

    def make(self, folder: Path) -> Path:
        """One layer: a file that ends between two is whole to every reader of protocol buffers."""
        return put(folder, layer("ip", "InnerProduct", blob(2, 3, data=NUMBERS)))


def test_both_generations_and_the_first(tmp_path: Path) -> None:
    first = delimited(
        2, delimited(1, delimited(1, "oldest") + delimited(2, "conv") + delimited(50, legacy(1, 1, 2, 3)))
    )
    path = put(tmp_path, old_layer("conv", 4, legacy(3, 2, 1, 1), legacy(1, 1, 1, 6)), first,
               layer("ip", "InnerProduct", blob(2, 3, data=NUMBERS)))  # fmt: skip
    found = mg.load(path)
    assert {n: v.shape for n, v in found.items()} == {
        "conv.0": (3, 2, 1, 1), "conv.1": (1, 1, 1, 6), "oldest.0": (1, 1, 2, 3), "ip.0": (2, 3),
    }  # fmt: skip
    assert all(v.ravel().tolist() == list(range(6)) for v in found.values())
    model = read_model(str(path))
    assert model.dialect == "V1+V2"
    assert model.graph is not None
    assert dict(model.graph.operators) == {"Convolution": 1, "InnerProduct": 1, "conv": 1}


def test_doubles_halves_and_numbers_one_by_one(tmp_path: Path) -> None:
    shape = delimited(7, delimited(1, b"\2"))
    doubles = shape + delimited(8, struct.pack("<2d", 1, 2))
    halves = shape + integer(10, 2) + delimited(12, np.array([3, 4], "f2").tobytes())
    loose = delimited(7, integer(1, 2)) + b"".join(b"\x2d" + struct.pack("<f", v) for v in (5, 6))
    path = put(tmp_path, layer("a", "Power", doubles, halves, loose, delimited(7, delimited(1, b"\3"))))
    found = read_model(str(path)).tensors
    assert [t.dtype.name for t in found.values()] == ["f64", "f16", "f32", "f32"]
    assert isinstance(found["a.3"].data, Missing)
    with mg.open(path) as model:
        assert [model.tensors[f"a.{n}"].numpy().tolist() for n in range(3)] == [[1, 2], [3, 4], [5, 6]]


def test_names_given_twice_and_inputs(tmp_path: Path) -> None:
    inputs = delimited(3, "image") + b"".join(integer(4, n) for n in (1, 3, 8, 8))
    path = put(tmp_path, inputs, layer("s", "Scale", blob(2)), layer("s", "Scale", blob(3)))
    model = read_model(str(path))
    assert list(model.tensors) == ["s.0", "s#2.0"]
    assert model.graph is not None
    assert [str(p) for p in model.graph.signatures[0].inputs] == ["image [1, 3, 8, 8] f32"]


def group(number: int, field: int = 106) -> bytes:
    return delimited(field, integer(5, number))


LAYERS = [
    (layer("l", "Convolution", blob(4, 3, 2, 2), blob(4)), [("conv", "kernel", "oihw"), ("conv", "bias", None)]),
    (layer("l", "Convolution", blob(4, 1, 2, 2), more=group(4)), [("depthwise-conv", "kernel", "o1hw")]),
    (layer("l", "Convolution", blob(4, 2, 2, 2), more=group(2)), [("conv", "kernel", "oihw")]),
    (layer("l", "Deconvolution", blob(3, 4, 2, 2)), [("conv-transpose", "kernel", "iohw")]),
    (layer("l", "InnerProduct", blob(2, 3), blob(2)), [("dense", "kernel", "oi"), ("dense", "bias", None)]),
    (layer("l", "InnerProduct", blob(3, 2), more=delimited(117, integer(6, 1))), [("dense", "kernel", "io")]),
    (old_layer("l", 14, legacy(1, 1, 2, 3)), [("dense", "kernel", "11oi")]),
    (layer("l", "BatchNorm", blob(2), blob(2), blob(1)),
     [("batch-norm", role, None) for role in ("mean", "variance", "factor")]),
    (layer("n", "BatchNorm") + layer("l", "Scale", blob(2), blob(2), bottom="n"),
     [("batch-norm", "scale", None), ("batch-norm", "offset", None)]),
    (layer("l", "Scale", blob(2)), [(None, None, None)]),
    (layer("l", "Embed", blob(9, 4)), [("embedding", "table", None)]),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "wanted"), LAYERS)
def test_what_a_layer_says_of_its_blobs(raw: bytes, wanted: list[tuple[str | None, ...]], tmp_path: Path) -> None:
    found = read_model(str(put(tmp_path, raw))).tensors
    assert [tuple(t.extra.get(k) for k in (KIND, ROLE, AXES)) for t in found.values()] == wanted


def test_gates_of_a_recurrent_layer(tmp_path: Path) -> None:
    found = read_model(str(put(tmp_path, layer("l", "LSTM", blob(8, 3), blob(8), blob(8, 2))))).tensors
    assert [t.extra[GATES] for t in found.values()] == ["ifoc"] * 3


@pytest.mark.parametrize(
    "raw", [delimited(1, delimited(1, "node") + delimited(2, "Const")), delimited(1, delimited(1, "<unk>")),
            integer(1, 8) + delimited(7, b""), delimited(1, "net")]
)  # fmt: skip
def test_other_messages_are_not_taken(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(raw)
    try:
        name = detect(str(tmp_path / "m.bin"))[0].info.name
    except ModelFileError:
        return
    assert name != "caffe"
