"""PaddlePaddle: the promises of a reader, and files made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.containers.protobuf_write import delimited, integer
from modelglot.core.layer import AXES, KIND, ROLE
from modelglot.core.tensor import Missing
from modelglot.testing.conformance import ReaderConformance

F32, F16 = 5, 4


def described(kind: int, shape: tuple[int, ...]) -> bytes:
    return integer(1, kind) + b"".join(integer(2, size) for size in shape)


def variable(name: str, shape: tuple[int, ...], kind: int = F32, *, persistable: bool = True, type_: int = 7) -> bytes:
    inside = integer(1, type_) + delimited(3, delimited(1, described(kind, shape)))
    return delimited(3, delimited(1, name) + delimited(2, inside) + integer(3, int(persistable)))


def pair(number: int, key: str, *names: str) -> bytes:
    return delimited(number, delimited(1, key) + b"".join(delimited(2, name) for name in names))


def operator(kind: str, inputs: dict[str, str], output: str = "y", **attributes: int) -> bytes:
    body = b"".join(pair(1, key, name) for key, name in inputs.items()) + pair(2, "Out", output)
    body += delimited(3, kind)
    body += b"".join(delimited(4, delimited(1, k) + integer(2, 0) + integer(3, v)) for k, v in attributes.items())
    return delimited(4, body)


def program(*parts: bytes) -> bytes:
    return delimited(1, integer(1, 0) + integer(2, 0xFFFF_FFFF_FFFF_FFFF) + b"".join(parts))


def saved(values: np.ndarray, kind: int = F32, levels: tuple[bytes, ...] = ()) -> bytes:  # type: ignore[type-arg]
    about = described(kind, values.shape)
    head = struct.pack("<IQ", 0, len(levels)) + b"".join(struct.pack("<Q", len(level)) + level for level in levels)
    return head + struct.pack("<Ii", 0, len(about)) + about + values.tobytes()


A, B = np.arange(6, dtype="f4").reshape(2, 3), np.arange(3, dtype="f4")


class TestPaddle(ReaderConformance):
    format = "paddle"

    def make(self, folder: Path) -> Path:
        (folder / "m.pdiparams").write_bytes(saved(B) + saved(A))
        path = folder / "m.pdmodel"
        path.write_bytes(program(variable("w", (2, 3)), variable("b", (3,)), operator("mul", {"X": "x", "Y": "w"})))
        return path


def test_one_file_for_all_weights_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Variables that are not kept, feed and fetch and scopes have no numbers in it."""
    others = variable("a", (2,), persistable=False) + variable("feed", (), type_=9) + variable("scope", (), type_=11)
    (tmp_path / "m.pdmodel").write_bytes(program(variable("w", (2, 3)), others, variable("b", (-1,))))
    (tmp_path / "m.pdiparams").write_bytes(saved(B, levels=(bytes(16),)) + saved(A))
    for path in (tmp_path, tmp_path / "m.pdmodel", tmp_path / "m.pdiparams"):
        assert detect(str(path))[0].info.name == "paddle"
        found = mg.load(path)
        assert list(found) == ["b", "w"]
        assert found["w"].tolist() == A.tolist()
        assert found["b"].tolist() == B.tolist()


def test_a_file_for_each_weight(tmp_path: Path) -> None:
    (tmp_path / "__model__").write_bytes(program(variable("w", (2, 3)), variable("b", (3,)), variable("gone", (4,))))
    (tmp_path / "w").write_bytes(saved(A))
    (tmp_path / "b").write_bytes(saved(B))
    for path in (tmp_path, tmp_path / "__model__"):
        model = read_model(str(path))
        assert isinstance(model.tensors["gone"].data, Missing)
        assert model.tensors["gone"].shape == (4,)
    with mg.open(tmp_path) as opened:
        assert opened.tensors["w"].numpy().tolist() == A.tolist()


def test_weights_without_their_program_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "m.pdiparams").write_bytes(saved(B) + saved(A.astype("f2"), F16))
    found = mg.inspect(tmp_path / "m.pdiparams")
    assert [(n, t.dtype.name) for n, t in found.model.tensors.items()] == [("0", "f32"), ("1", "f16")]
    assert "no-names" in [n.code for n in found.notes]


def test_a_program_without_its_weights(tmp_path: Path) -> None:
    (tmp_path / "m.pdmodel").write_bytes(program(variable("w", (2, 3))))
    assert isinstance(read_model(str(tmp_path / "m.pdmodel")).tensors["w"].data, Missing)


LAYERS = [
    (operator("conv2d", {"Filter": "w"}, groups=1), (8, 3, 2, 2), ("conv", "kernel", "oihw")),
    (operator("depthwise_conv2d", {"Filter": "w"}, groups=8), (8, 1, 2, 2), ("depthwise-conv", "kernel", "o1hw")),
    (operator("conv2d_transpose", {"Filter": "w"}), (3, 8, 2, 2), ("conv-transpose", "kernel", "iohw")),
    (operator("mul", {"X": "x", "Y": "w"}), (3, 8), ("dense", "kernel", "io")),
    (operator("matmul_v2", {"X": "x", "Y": "w"}, trans_y=1), (3, 8), ("dense", "kernel", "oi")),
    (operator("batch_norm", {"Mean": "w"}), (3,), ("batch-norm", "mean", None)),
    (operator("lookup_table_v2", {"W": "w"}), (9, 4), ("embedding", "table", None)),
    (operator("mul", {"X": "x", "Y": "k"}) + operator("elementwise_add", {"X": "y", "Y": "w"}), (8,),
     ("dense", "bias", None)),
    (operator("elementwise_add", {"X": "other", "Y": "w"}), (8,), (None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "shape", "wanted"), LAYERS)
def test_what_an_operator_says_of_its_weights(
    raw: bytes, shape: tuple[int, ...], wanted: tuple[str | None, ...], tmp_path: Path
) -> None:
    (tmp_path / "m.pdmodel").write_bytes(program(variable("w", shape), variable("k", (3, 8)), raw))
    extra = read_model(str(tmp_path / "m.pdmodel")).tensors["w"].extra
    assert tuple(extra.get(key) for key in (KIND, ROLE, AXES)) == wanted
