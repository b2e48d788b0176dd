"""ONNX: the promises of a format, and files written by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.containers.protobuf_write import delimited, head, integer
from modelglot.core.errors import ModelFileError, UnsupportedError
from modelglot.core.tensor import Extent, Stored
from modelglot.formats.onnx.place import MOST
from modelglot.testing.conformance import FormatConformance
from modelglot.testing.models import tiny_state

OPSET = delimited(8, integer(2, 17))
# ir_version 8, graph { initializer { dims 2, data_type FLOAT, name "w", raw_data 1.0 2.0 } }, opset_import 17
GOLDEN = "0808" "3a13" "2a11" "0802" "1001" "420177" "4a08" "0000803f" "00000040" "42021011"  # fmt: skip


def tensor(name: str, *fields: bytes, dims: tuple[int, ...] = (2,), kind: int = 1) -> bytes:
    return b"".join([*(integer(1, d) for d in dims), integer(2, kind), delimited(8, name), *fields])


def model(graph: bytes, *more: bytes) -> bytes:
    return integer(1, 8) + delimited(7, graph) + b"".join(more) + OPSET


class TestOnnx(FormatConformance):
    format = "onnx"
    metadata = {"author": "käfer"}

    def state(self) -> dict[str, Any]:
        return tiny_state(["f32", "f16", "bf16", "f64", "i8", "u8", "i64", "bool", "c64", "f8_e4m3", "f8_e8m0"])


def test_the_smallest_file(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(bytes.fromhex(GOLDEN))
    found = read_model(str(path))
    assert found.tensors["w"].data == Stored((Extent(0, 15, 8),))
    assert mg.load(path)["w"].tolist() == [1, 2]
    assert found.metadata["onnx.ir_version"] == 8


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.bin", model(delimited(5, tensor("w", delimited(9, bytes(8))))), "onnx"),
        ("graph-first", delimited(7, delimited(2, "g")) + integer(1, 7) + OPSET, "onnx"),
        ("long-doc.onnx", integer(1, 8) + delimited(6, "d" * 5000) + delimited(7, delimited(2, "g")) + OPSET, "onnx"),
        ("nodes", integer(1, 8) + delimited(2, "me") + delimited(7, delimited(1, delimited(4, "Add")) * 900), "onnx"),
        ("a.mlmodel", integer(1, 4) + delimited(2, delimited(1, b"")) + b"\xa2\x1f\x00", "other"),
        ("saved_model.pb", integer(1, 1) + delimited(2, delimited(1, delimited(4, "serve"))), "other"),
        ("tokenizer.model", delimited(1, delimited(1, "<unk>")), "other"),
    ],
)  # fmt: skip
def test_content_decides(name: str, content: bytes, format: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        found = detect(str(path))[0].info.name
    except ModelFileError:
        found = "other"
    assert (found == "onnx") == (format == "onnx")


def test_a_folder_with_one_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(bytes.fromhex(GOLDEN))
    (tmp_path / "config.json").write_text("{}")
    found = read_model(str(tmp_path))
    assert list(found.tensors) == ["w"]
    assert [s.name for s in found.sides] == ["config.json"]


def test_packed_data_in_pieces_and_a_stranger_field(tmp_path: Path) -> None:
    """A repeated field may be cut in packed pieces; fields of a later version are passed over."""
    one, two = (np.float32(v).tobytes() for v in (1, 2))
    path = tmp_path / "a.onnx"
    path.write_bytes(model(delimited(5, tensor("w", delimited(4, one), delimited(99, b"new"), delimited(4, two)))))
    assert mg.load(path)["w"].tolist() == [1, 2]


def test_more_than_protobuf_takes_goes_beside(tmp_path: Path) -> None:
    from modelglot.core.dtype import DTYPES
    from modelglot.core.layout import Options
    from modelglot.core.model import Model
    from modelglot.core.tensor import Tensor
    from modelglot.formats.onnx import FORMAT

    half = MOST // 2
    tensors = {n: Tensor(n, DTYPES["u8"], (half,), Stored((Extent(0, 0, half),))) for n in ("a", "b", "c")}
    large = Model("safetensors", (), tensors)
    beside, main = FORMAT.layout(large, Options(name="out.onnx")).files
    assert beside.name == "out.onnx_data"
    assert [s.offset % 4096 for s in beside.slots] == [0, 0, 0]
    assert main.size < 1000
    (whole,) = FORMAT.layout(large, Options(name="out.onnx", settings={"onnx:external": "none"})).files
    assert whole.size > MOST


def test_a_template_must_be_of_the_target_format(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(bytes.fromhex(GOLDEN))
    with pytest.raises(UnsupportedError, match="cannot be put into"):
        mg.convert(path, tmp_path / "b.safetensors", template=path)


def test_three_gigabytes_in_one_file_are_no_hurdle(tmp_path: Path) -> None:
    """Sparse on disk; protocol buffer libraries refuse a message of this size."""
    path, size = tmp_path / "large.onnx", 1 << 30
    parts = [tensor(f"w{i}", head(9, size), dims=(size // 4,)) for i in range(3)]
    last = delimited(5, tensor("last", delimited(9, np.array([1, 2], "f4").tobytes())))
    inner = [head(5, len(p) + size) + p for p in parts]
    with path.open("wb") as file:
        file.write(integer(1, 8) + head(7, sum(len(p) + size for p in inner) + len(last)))
        for part in inner:
            file.write(part)
            file.seek(size, 1)
        file.write(last + OPSET)
    began = time.perf_counter()
    found = read_model(str(path))
    assert time.perf_counter() - began < 0.5
    assert {n: t.nbytes for n, t in found.tensors.items()} == {"w0": size, "w1": size, "w2": size, "last": 8}
    mg.convert(path, tmp_path / "last.safetensors", include=["last"])
    assert mg.load(tmp_path / "last.safetensors")["last"].tolist() == [1, 2]
