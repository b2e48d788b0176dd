"""Against OpenVINO: what it saves is read as it has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ov = pytest.importorskip("openvino")

from openvino import Type  # noqa: E402
from openvino import opset15 as ops  # noqa: E402

import modelglot as mg  # noqa: E402
from modelglot.api.reading import read_model  # noqa: E402
from modelglot.core.layer import AXES, GATES, KIND, ROLE  # noqa: E402

random = np.random.default_rng(0)


def made(*shape: int) -> Any:
    return random.standard_normal(shape).astype("f4")


def constant(name: str, value: Any, kind: Any = None) -> Any:
    node = ops.constant(value, dtype=kind) if kind is not None else ops.constant(value)
    node.set_friendly_name(name)
    return node


def network() -> Any:
    x = ops.parameter([-1, 3, 8, 8], np.float32)
    x.set_friendly_name("image")
    a = ops.convolution(x, constant("conv", made(6, 3, 3, 3)), [1, 1], [0, 0], [0, 0], [1, 1])
    a = ops.add(a, constant("conv.bias", made(1, 6, 1, 1)))
    a = ops.group_convolution(a, constant("depthwise", made(6, 2, 1, 3, 3)), [1, 1], [0, 0], [0, 0], [1, 1])
    a = ops.group_convolution(a, constant("groups", made(2, 3, 6, 1, 1)), [1, 1], [0, 0], [0, 0], [1, 1])
    a = ops.convolution_backprop_data(a, constant("up", made(6, 4, 2, 2)), [1, 1])
    a = ops.reduce_mean(a, constant("axes", np.array([2, 3], "i8")), False)
    half = constant("dense", made(5, 4).astype("f2"))
    a = ops.matmul(a, ops.convert(half, "f32"), False, True)
    a = ops.matmul(a, constant("turned", made(5, 7)), False, False)
    a = ops.add(a, constant("turned.bias", made(1, 7)))
    zero = ops.broadcast(constant("zero", np.zeros((1, 4), "f4")), constant("two", np.array([1, 4], "i8")))
    cell = ops.lstm_cell(
        a, zero, zero, constant("w", made(16, 7)), constant("r", made(16, 4)), constant("b", made(16)), 4
    )
    return ov.Model([cell.output(0)], [x], "network")


def test_constants_and_layers(tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    ov.save_model(network(), path, compress_to_fp16=False)
    wanted = {
        n.get_friendly_name(): n
        for n in ov.Core().read_model(path).get_ordered_ops()
        if n.get_type_name() == "Constant"
    }
    for given in (path, path.with_suffix(".bin"), tmp_path):
        found = mg.load(given)
        assert set(found) == set(wanted)
        for name, node in wanted.items():
            assert np.array_equal(found[name], node.data), name
    model = read_model(str(path))
    said = {n: (t.extra.get(KIND), t.extra.get(ROLE), t.extra.get(AXES), t.extra.get(GATES))
            for n, t in model.tensors.items() if t.extra}  # fmt: skip
    assert said == {
        "conv": ("conv", "kernel", "oihw", None), "conv.bias": ("conv", "bias", None, None),
        "depthwise": ("depthwise-conv", "kernel", "im1hw", None), "groups": ("conv", "kernel", None, None),
        "up": ("conv-transpose", "kernel", "iohw", None), "dense": ("dense", "kernel", "oi", None),
        "turned": ("dense", "kernel", "io", None), "turned.bias": ("dense", "bias", None, None),
        "w": ("lstm", "kernel", "oi", "fico"), "r": ("lstm", "recurrent-kernel", "oi", "fico"),
        "b": ("lstm", "bias", "o", "fico"),
    }  # fmt: skip
    assert model.graph is not None
    assert [str(p) for p in model.graph.signatures[0].inputs] == ["image [?, 3, 8, 8] f32"]
    assert model.graph.operators["Convolution"] == 1
    assert mg.convert(path, tmp_path / "out.safetensors").verified


KINDS = ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "boolean", "i4", "u4",
         "f8e4m3", "f8e5m2", "f8e8m0", "f4e2m1"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_type(kind: str, tmp_path: Path) -> None:
    """The stored bytes, and the values that OpenVINO makes of them."""
    odd = {"boolean": [[0, 1, 1], [0, 0, 1]], "f8e8m0": [[1, 2, 4], [8, 16, 0.5]]}
    value = np.array(odd.get(kind, [[0, 1, 2], [3, 4, 6]]), "f4")
    result = ops.convert(constant("c", value, getattr(Type, kind)), "f32")
    path = tmp_path / "m.xml"
    ov.save_model(ov.Model([result], [], "m"), path, compress_to_fp16=False)
    (stored,) = (n for n in ov.Core().read_model(path).get_ordered_ops() if n.get_type_name() == "Constant")
    with mg.open(path) as model:
        found = model.tensors["c"]
        assert found.shape == (2, 3)
        assert bytes(found.bytes()) == np.asarray(stored.data).tobytes()
        assert np.array_equal(found.numpy().astype("f4"), value)


def test_graphs_inside_graphs(tmp_path: Path) -> None:
    x = ops.parameter([1, 2], np.float32, "x")
    branches = []
    for value in (1, 2):
        inner = ops.parameter([1, 2], np.float32)
        result = ops.result(ops.add(inner, constant("w", np.full((1, 2), value, "f4"))))
        branches.append((ov.Model([result], [inner]), inner, result))
    choose = ops.if_op(constant("condition", np.array(True)))
    choose.set_friendly_name("choose")
    for setter, (body, _, _) in zip((choose.set_then_body, choose.set_else_body), branches, strict=True):
        setter(body)
    choose.set_input(x.output(0), branches[0][1], branches[1][1])
    out = choose.set_output(branches[0][2], branches[1][2])
    path = tmp_path / "m.xml"
    ov.save_model(ov.Model([out], [x], "m"), path, compress_to_fp16=False)
    found = mg.load(path)
    assert sorted(found) == ["choose.else_body.w", "choose.then_body.w", "condition"]
    assert found["choose.else_body.w"].tolist() == [[2, 2]]
