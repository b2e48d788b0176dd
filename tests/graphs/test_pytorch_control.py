"""Loops and branches as Python, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
torch = pytest.importorskip("torch")
runtime = pytest.importorskip("onnxruntime")
import node_cases  # noqa: E402

# name: (text of the graph, inputs)
GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "while": (
        """(float[n] x) => (float[n] y, float[k] sizes) {
            yes = Constant <value = bool {1}> ()
            y, sizes = Loop <body = body (int64 i, bool go, float[n] v) => (bool more, float[n] w, float size) {
                half = Constant <value = float {0.5}> ()
                one = Constant <value = float {1.0}> ()
                w = Mul (v, half)
                size = ReduceSum <keepdims = 0> (w)
                more = Greater (size, one)
            }> ("", yes, x)
        }""",
        {"x": np.array([3, 5, 7], "f4")},
    ),
    "no iterations": (
        """(float[n] x, int64 count) => (float[n] y, float[k, 3] each) {
            y, each = Loop <body = body (int64 i, bool go, float[n] v) => (bool go2, float[n] w, float[3] w2) {
                go2 = Identity (go)
                w = Add (v, v)
                w2 = Identity (w)
            }> (count, "", x)
        }""",
        {"x": np.array([3, 5, 7], "f4"), "count": np.array(0)},
    ),
    "counter": (
        """(float[n] x, int64 count) => (float[n] y, int64[k] each) {
            y, each = Loop <body = body (int64 i, bool go, float[n] v) => (bool go2, float[n] w, int64 i2) {
                go2 = Identity (go)
                f = Cast <to = 1> (i)
                w = Add (v, f)
                two = Constant <value = int64 {2}> ()
                i2 = Mul (i, two)
            }> (count, "", x)
        }""",
        {"x": np.array([3, 5, 7], "f4"), "count": np.array(4)},
    ),
    "loop in loop, with what lies around": (
        """(float[n] x, int64 count) => (float[n] y) {
            y = Loop <body = outer (int64 i, bool go, float[n] v) => (bool go2, float[n] w) {
                go2 = Identity (go)
                w = Loop <body = inner (int64 j, bool on, float[n] a) => (bool on2, float[n] b) {
                    on2 = Identity (on)
                    s = Add (a, x)
                    f = Cast <to = 1> (i)
                    b = Mul (s, f)
                }> (i, "", v)
            }> (count, "", x)
        }""",
        {"x": np.array([0.5, 0.25], "f4"), "count": np.array(3)},
    ),
    "values exchanged by every iteration": (
        """(float[n] x, float[n] z, int64 count) => (float[n] y, float[n] u) {
            y, u = Loop <body = body (int64 i, bool go, float[n] a, float[n] b) => (bool go2, float[n] c, float[n] d) {
                go2 = Identity (go)
                c = Identity (b)
                d = Add (a, b)
            }> (count, "", x, z)
        }""",
        {"x": np.array([1, 2], "f4"), "z": np.array([5, 7], "f4"), "count": np.array(5)},
    ),
    "branches by a shape": (
        """(float[n, m] x) => (float[a, b] y) {
            s = Shape (x)
            zero = Constant <value = int64 {0}> ()
            three = Constant <value = int64 {3}> ()
            n = Gather (s, zero)
            c = Less (n, three)
            y = If <then_branch = a () => (float[a, b] r) { r = Transpose <perm = [1, 0]> (x) },
                    else_branch = b () => (float[a, b] q) { q = Neg (x) }> (c)
        }""",
        {"x": np.arange(8, dtype="f4").reshape(2, 4)},
    ),
    "scan both ways": (
        """(float[n] start, float[2, 5] x, float[5, 2] z) => (float[n] last, float[2, k] each) {
            last, each = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0], scan_input_directions = [0, 1],
                               scan_output_axes = [1], scan_output_directions = [1],
                               body = body (float[n] a, float[n] b, float[n] c) => (float[n] d, float[n] e) {
                t = Add (a, b)
                d = Mul (t, c)
                e = Sub (t, c)
            }> (start, x, z)
        }""",
        {
            "start": np.ones(2, "f4"),
            "x": np.arange(10, dtype="f4").reshape(2, 5),
            "z": np.arange(10, dtype="f4").reshape(5, 2) / 10,
        },
    ),
    "the largest of three sizes": (
        """(float[n, m, k] x) => (float[a] y) {
            s = Shape (x)
            i0 = Constant <value = int64 {0}> ()
            i1 = Constant <value = int64 {1}> ()
            i2 = Constant <value = int64 {2}> ()
            a = Gather (s, i0)
            b = Gather (s, i1)
            c = Gather (s, i2)
            d = Max (a, b, c)
            axes = Constant <value = int64[1] {0}> ()
            e = Unsqueeze (d, axes)
            y = ConstantOfShape (e)
        }""",
        {"x": np.zeros((2, 3, 5), "f4")},
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_it_gives_what_onnxruntime_gives(name: str, tmp_path: Path) -> None:
    text, feeds = GRAPHS[name]
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g {text}')
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = session.run(None, feeds)
    with torch.no_grad():
        found = node_cases.network(*node_cases.generated(path))(*(torch.from_numpy(v) for v in feeds.values()))
    for one, other in zip(found if isinstance(found, tuple) else (found,), wanted, strict=True):
        assert one.dtype == torch.from_numpy(other).dtype
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-5)
