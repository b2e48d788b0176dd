"""A graph made in memory, written around weights that the engine moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.finishing import finish, plan_model
from modelglot.api.reading import read_model
from modelglot.api.target import resolve_target
from modelglot.core.errors import UnsupportedError
from modelglot.core.layout import Options
from modelglot.core.model import Model
from modelglot.graphs.frames import frame_of

ir = pytest.importorskip("onnx_ir")
onnx = pytest.importorskip("onnx")
W = np.arange(12, dtype=np.float32).reshape(3, 4)


def graph() -> Any:
    """``y = x @ w + two``; ``w`` is only named, ``two`` has its value."""
    f32 = ir.TensorType(ir.DataType.FLOAT)
    x = ir.Value(name="x", shape=ir.Shape(["n", 3]), type=f32)
    w = ir.Value(name="layer.w", shape=ir.Shape([3, 4]), type=f32)
    two = ir.Value(name="two", const_value=ir.tensor(np.float32(2), name="two"))
    product = ir.node("MatMul", [x, w])
    total = ir.node("Add", [product.outputs[0], two])
    y = total.outputs[0]
    y.name, y.type, y.shape = "y", f32, ir.Shape(["n", 4])
    made = ir.Graph([x], [y], nodes=[product, total], initializers=[two], opset_imports={"": 21}, name="g")
    return ir.Model(made, ir_version=10, producer_name="test", metadata_props={"a": "b"})


@pytest.mark.parametrize("settings", [{}, {"onnx:external": "w.bin", "onnx:threshold": "1"}])
def test_weights_come_from_their_file(settings: dict[str, str], tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    source = tmp_path / "a.safetensors"
    mg.save({"layer.w": W}, source)
    read = read_model(str(source))
    model = Model("safetensors", read.files, read.tensors)
    place = resolve_target(str(tmp_path / "out/m.onnx"), None, "onnx", None, settings)
    (tmp_path / "out").mkdir()
    options = Options(None, place.options.name, settings, frame=frame_of(graph(), model.tensors))
    place = type(place)(place.format, place.path, options)
    finish(plan_model(model, place, (), [], ()), place)

    onnx.checker.check_model(str(tmp_path / "out/m.onnx"), full_check=True)
    proto = onnx.load(tmp_path / "out/m.onnx", load_external_data=False)
    assert (proto.producer_name, proto.metadata_props[0].value) == ("test", "b")
    assert {i.name: len(i.external_data) > 0 for i in proto.graph.initializer} == {
        "two": False,
        "layer.w": bool(settings),
    }
    session = ort.InferenceSession(tmp_path / "out/m.onnx")
    x = np.ones((2, 3), np.float32)
    assert session.run(None, {"x": x})[0].tolist() == (x @ W + 2).tolist()


def test_a_type_without_a_name_in_onnx() -> None:
    from modelglot.core.dtype import DTYPES
    from modelglot.core.encoding import Blocks
    from modelglot.core.tensor import Inline, Tensor

    blocks = Tensor("w", DTYPES["f32"], (32,), Inline(bytes(18)), Blocks("q4_0", 32, 18))
    with pytest.raises(UnsupportedError, match="q4_0"):
        frame_of(graph(), {"w": blocks})
