"""Core ML: the promises of a reader, and files made by hand."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.containers.protobuf_write import delimited, integer
from modelglot.core.errors import ModelFileError
from modelglot.core.tensor import Inline, Missing
from modelglot.testing.conformance import ReaderConformance

FEATURE = delimited(1, "x") + delimited(3, delimited(5, integer(1, 4) + integer(2, 65568)))
DESCRIPTION = delimited(1, FEATURE)


def model(kind: int, body: bytes, description: bytes = DESCRIPTION) -> bytes:
    return integer(1, 5) + delimited(2, description) + delimited(kind, body)


def layer(name: str, kind: int, body: bytes) -> bytes:
    return delimited(1, delimited(1, name) + delimited(kind, body))


def floats(*values: float) -> bytes:
    return delimited(1, struct.pack(f"<{len(values)}f", *values))


def dense(name: str = "dense") -> bytes:
    return layer(name, 140, integer(1, 2) + integer(2, 3) + delimited(20, floats(1, 2, 3, 4, 5, 6)))


def value(kind: int, shape: tuple[int, ...], *more: bytes) -> bytes:
    axes = b"".join(delimited(3, delimited(1, integer(1, size))) for size in shape)
    return delimited(2, delimited(1, integer(1, kind) + integer(2, len(shape)) + axes)) + b"".join(more)


def blob(offset: int, name: str = "@model_path/weights/weight.bin") -> bytes:
    return delimited(5, delimited(1, name) + integer(2, offset))


def program(*values: bytes) -> bytes:
    """Constants called c0, c1 ... of a function called main."""
    operations = b"".join(
        delimited(3, delimited(1, "const") + delimited(3, delimited(1, f"c{n}"))
                  + delimited(5, delimited(1, "val") + delimited(2, v)))
        for n, v in enumerate(values)
    )  # fmt: skip
    function = delimited(3, delimited(1, "CoreML5") + delimited(2, operations))
    return model(502, integer(1, 1) + delimited(2, delimited(1, "main") + delimited(2, function)))


def weight_file(*contents: tuple[int, bytes]) -> bytes:
    """The entries lie at 64, 64 + 128, ..."""
    out = bytearray(struct.pack("<II", len(contents), 2).ljust(64, b"\0"))
    for kind, data in contents:
        out += struct.pack("<IIQQ", 0xDEADBEEF, kind, len(data), len(out) + 64).ljust(64, b"\0")
        out += data.ljust(64, b"\0")
    return bytes(out)


class TestCoreMl(ReaderConformance):
    format = "coreml"

    def make(self, folder: Path) -> Path:
        path = folder / "sample.mlmodel"
        path.write_bytes(model(500, dense()))
        return path


def test_a_package_by_any_of_its_names(tmp_path: Path) -> None:
    package = tmp_path / "m.mlpackage"
    inside = package / "Data" / "com.apple.CoreML"
    (inside / "weights").mkdir(parents=True)
    manifest = {"rootModelIdentifier": "A", "itemInfoEntries": {"A": {"path": "com.apple.CoreML/model.mlmodel"}}}
    (package / "Manifest.json").write_text(json.dumps(manifest))
    half = np.array([1, 2, 3], "f2").tobytes()
    (inside / "weights" / "weight.bin").write_bytes(weight_file((1, half), (3, b"\x21\x43"), (13, b"\xc1\x1f\x4b")))
    (inside / "model.mlmodel").write_bytes(
        program(value(10, (3,), blob(64)), value(25, (4,), blob(192)), value(38, (4,), blob(320)))
    )
    for path in (package, package / "Manifest.json", inside / "model.mlmodel"):
        assert detect(str(path))[0].info.name == "coreml"
        found = mg.load(path)
        assert found["c0"].tolist() == [1, 2, 3]
        assert found["c1"].astype(int).tolist() == [1, 2, 3, 4]
        assert found["c2"].tolist() == [0x01, 0x3F, 0x31, 0x12]
    (inside / "weights" / "weight.bin").unlink()
    assert {type(t.data) for t in read_model(str(package)).tensors.values()} == {Missing}


def test_values_inside_a_program(tmp_path: Path) -> None:
    """Floats of one axis or more are weights; numbers of operators are not."""
    inside = delimited(3, delimited(1, delimited(1, delimited(1, struct.pack("<2f", 1, 2)))))
    single = delimited(3, delimited(1, delimited(1, delimited(1, struct.pack("<f", 3)))))
    strides = delimited(3, delimited(1, delimited(2, delimited(1, b"\1\2"))))
    halves = delimited(3, delimited(1, delimited(7, delimited(1, np.array([4, 5], "f2").tobytes()))))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(program(value(11, (2,), inside), value(11, (), single), value(23, (2,), strides),
                             value(10, (2,), halves)))  # fmt: skip
    assert {n: v.tolist() for n, v in mg.load(path).items()} == {"c0": [1, 2], "c3": [4, 5]}


def test_numbers_one_by_one_and_sizes_not_packed(tmp_path: Path) -> None:
    loose = b"".join(b"\x0d" + struct.pack("<f", v) for v in (1, 2, 3, 4, 5, 6))
    sizes = integer(1, 2) + integer(1, 3)
    constant = layer("k", 1070, sizes + delimited(2, loose))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model(500, constant))
    tensor = read_model(str(path)).tensors["k.data"]
    assert isinstance(tensor.data, Inline)
    assert mg.load(path)["k.data"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_networks_in_branches_and_loops_and_names_given_twice(tmp_path: Path) -> None:
    branch = layer("choose", 605, delimited(1, dense()) + delimited(2, dense() + dense()))
    loop = layer("repeat", 615, delimited(4, dense("")))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model(403, branch + loop))
    assert list(read_model(str(path)).tensors) == [
        "choose.if.dense.weights", "choose.else.dense.weights", "choose.else.dense.weights#2",
        "repeat.body.innerProduct.weights",
    ]  # fmt: skip


def test_what_has_no_network_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model(402, delimited(1, b"")))
    found = mg.inspect(path)
    assert found.model.dialect == "treeEnsembleClassifier"
    assert [n.code for n in found.notes] == ["no-weights"]


@pytest.mark.parametrize("inner", [delimited(4, "serve"), delimited(2, delimited(1, "Add"))])
def test_a_saved_model_is_none(inner: bytes, tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(integer(1, 1) + delimited(2, delimited(1, inner)))
    with suppress(ModelFileError):
        assert detect(str(path))[0].info.name != "coreml"


@pytest.mark.parametrize("length", [10, 9000])
def test_the_first_version_is_no_saved_model(length: int, tmp_path: Path) -> None:
    """Both begin with a 1 and a message; with a long description the kind of model is not in sight."""
    own = delimited(100, delimited(3, "a" * length))
    path = tmp_path / "m.mlmodel"
    path.write_bytes(integer(1, 1) + delimited(2, DESCRIPTION + own) + delimited(500, dense()))
    assert detect(str(path))[0].info.name == "coreml"
