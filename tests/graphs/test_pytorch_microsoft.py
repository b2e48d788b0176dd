"""Operators of ONNX Runtime's own, and forms that the node tests have not, against ONNX Runtime."""

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

H, N = onnx.helper, onnx.numpy_helper
RANDOM = np.random.default_rng(0)


def f(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype("f4")


def q(dtype: str, *shape: int) -> Any:
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)


def s(*shape: int) -> Any:
    return RANDOM.random(shape).astype("f4") * 0.1 + 0.01


MS = "com.microsoft"
# name: (domain, operator, inputs, attributes, outputs); inputs that are no float arrays become weights
CASES: dict[str, tuple[str, str, list[Any], dict[str, Any], int]] = {
    "fused-conv": (MS, "FusedConv", [f(2, 3, 8, 8), f(4, 3, 3, 3), f(4)], {"activation": "Relu", "pads": [1] * 4}, 1),
    "fused-conv-leaky": (
        MS, "FusedConv", [f(2, 3, 8, 8), f(4, 3, 3, 3)], {"activation": "LeakyRelu", "activation_params": [0.2]}, 1,
    ),
    "fused-matmul": (MS, "FusedMatMul", [f(3, 5, 4), f(3, 5, 6)], {"transA": 1, "alpha": 0.5}, 1),
    "bias-gelu": (MS, "BiasGelu", [f(3, 8), f(8)], {}, 1),
    "fast-gelu": (MS, "FastGelu", [f(3, 8), f(8)], {}, 1),
    "quick-gelu": (MS, "QuickGelu", [f(3, 8)], {"alpha": 1.5}, 1),
    "skip-layer-norm": (MS, "SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)], {"epsilon": 1e-5}, 1),
    "skip-rms-norm": (MS, "SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8)], {"epsilon": 1e-5}, 4),
    "rms-norm": ("", "SimplifiedLayerNormalization", [f(2, 3, 8), f(8)], {"axis": -1, "epsilon": 1e-5}, 1),
    "dynamic-matmul": (MS, "DynamicQuantizeMatMul", [f(3, 16), q("int8", 16, 8), s(), np.int8(3)], {}, 1),
    "dynamic-matmul-columns": (
        MS, "DynamicQuantizeMatMul", [f(3, 16), q("int8", 16, 8), s(8), np.zeros(8, "i1"), f(8)], {}, 1,
    ),
    "integer-to-float": (
        MS, "MatMulIntegerToFloat",
        [q("uint8", 3, 16), q("int8", 16, 8), s(), s(8), np.uint8(9), np.zeros(8, "i1")], {}, 1,
    ),
    "n-bits": (
        MS, "MatMulNBits", [f(3, 64), q("uint8", 5, 2, 16), s(10)], {"K": 64, "N": 5, "bits": 4, "block_size": 32}, 1,
    ),
    "n-bits-zero-points": (
        MS, "MatMulNBits", [f(3, 96), q("uint8", 5, 3, 16), s(15), q("uint8", 10)],
        {"K": 96, "N": 5, "bits": 4, "block_size": 32}, 1,
    ),
    "n-bits-8": (
        MS, "MatMulNBits", [f(3, 64), q("uint8", 5, 2, 32), s(10)], {"K": 64, "N": 5, "bits": 8, "block_size": 32}, 1,
    ),
    "rotary": (
        MS, "RotaryEmbedding", [f(2, 3, 4 * 8), np.array([[0, 1, 2], [5, 6, 7]]), f(16, 4), f(16, 4)], {}, 1,
    ),
    "rotary-first": (
        MS, "RotaryEmbedding", [f(2, 4, 3, 8), np.array([5]), f(16, 4), f(16, 4)], {"interleaved": 1}, 1,
    ),
    "many-heads": (MS, "MultiHeadAttention", [f(2, 3, 16), f(2, 5, 16), f(2, 5, 16)], {"num_heads": 4}, 1),
    "many-heads-past": (
        MS, "MultiHeadAttention",
        [f(2, 3, 16), f(2, 3, 16), f(2, 3, 16), f(48), None, f(1, 4, 3, 7), f(2, 4, 4, 4), f(2, 4, 4, 4)],
        {"num_heads": 4, "scale": 0.3}, 3,
    ),
    "many-heads-padding": (
        MS, "MultiHeadAttention",
        [f(2, 3, 16), f(2, 5, 16), f(2, 5, 16), None, np.array([[1, 1, 1, 0, 0], [1] * 5], "i4")],
        {"num_heads": 4}, 1,
    ),
    "grouped-prompt": (
        MS, "GroupQueryAttention",
        [f(2, 5, 64), f(2, 5, 32), f(2, 5, 32), f(2, 2, 0, 16), f(2, 2, 0, 16), np.array([4, 4], "i4"),
         np.array([5], "i4"), f(16, 8), f(16, 8)], {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}, 3,
    ),
    "grouped-next": (
        MS, "GroupQueryAttention",
        [f(2, 1, 64), f(2, 1, 32), f(2, 1, 32), f(2, 2, 6, 16), f(2, 2, 6, 16), np.array([6, 6], "i4"),
         np.array([7], "i4"), f(16, 8), f(16, 8)],
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "local_window_size": 4}, 3,
    ),
    "grouped-packed": (
        MS, "GroupQueryAttention",
        [f(1, 4, 64), None, None, f(1, 2, 0, 8), f(1, 2, 0, 8), np.array([3], "i4"), np.array([4], "i4")],
        {"num_heads": 4, "kv_num_heads": 2, "softcap": 2.0}, 3,
    ),
    "embeddings": (
        MS, "EmbedLayerNormalization",
        [RANDOM.integers(0, 20, (2, 4)).astype("i4"), RANDOM.integers(0, 2, (2, 4)).astype("i4"), f(20, 8), f(10, 8),
         f(2, 8), f(8), f(8), np.array([[1, 1, 1, 0], [1] * 4], "i4")], {"epsilon": 1e-5}, 2,
    ),
    "inverse": (MS, "Inverse", [f(2, 4, 4)], {}, 1),
    "same-lower": ("", "Conv", [f(1, 2, 7, 9), f(3, 2, 4, 4)], {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, 1),
    "uneven-pads": ("", "Conv", [f(1, 2, 7, 9), f(3, 2, 3, 3)], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}, 1),
    "conv-3d": ("", "Conv", [f(1, 4, 5, 6, 7), f(6, 2, 2, 3, 2), f(6)], {"group": 2, "strides": [1, 2, 1]}, 1),
    "transposed-uneven": (
        "", "ConvTranspose", [f(1, 2, 5, 6), f(2, 3, 3, 3), f(3)],
        {"pads": [0, 1, 2, 0], "strides": [2, 2], "output_padding": [1, 1]}, 1,
    ),
    "transposed-same": ("", "ConvTranspose", [f(1, 2, 5), f(2, 3, 4)], {"auto_pad": "SAME_UPPER", "strides": [2]}, 1),
    "max-pool-ceil": ("", "MaxPool", [f(1, 2, 7, 8)], {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1}, 1),
    "average-uneven": ("", "AveragePool", [f(1, 2, 7, 8)], {"kernel_shape": [3, 2], "pads": [1, 0, 0, 1]}, 1),
    "average-pads": (
        "", "AveragePool", [f(1, 2, 7, 8)], {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}, 1,
    ),
    "gru-plain": (
        "", "GRU", [f(6, 2, 3), f(1, 15, 3), f(1, 15, 5), f(1, 30)], {"hidden_size": 5, "direction": "reverse"}, 2,
    ),
    "gru-before-reset": (
        "", "GRU", [f(6, 2, 3), f(2, 15, 3), f(2, 15, 5), f(2, 30), None, f(2, 2, 5)],
        {"hidden_size": 5, "direction": "bidirectional", "linear_before_reset": 1}, 2,
    ),
    "lstm-reverse": (
        "", "LSTM", [f(6, 2, 3), f(1, 20, 3), f(1, 20, 5), f(1, 40), None, f(1, 2, 5), f(1, 2, 5)],
        {"hidden_size": 5, "direction": "reverse"}, 3,
    ),
    "lstm-lengths": (
        "", "LSTM", [f(6, 2, 3), f(2, 20, 3), f(2, 20, 5), f(2, 40), np.array([6, 3], "i4")],
        {"hidden_size": 5, "direction": "bidirectional"}, 3,
    ),
    "lstm-peepholes": (
        "", "LSTM", [f(6, 2, 3), f(1, 20, 3), f(1, 20, 5), f(1, 40), None, None, None, f(1, 15)], {"hidden_size": 5}, 3,
    ),
    "lstm-activations": (
        "", "LSTM", [f(6, 2, 3), f(1, 20, 3), f(1, 20, 5)],
        {"hidden_size": 5, "activations": ["HardSigmoid", "Softsign", "Tanh"], "clip": 2.0}, 3,
    ),
    "rnn-lengths": (
        "", "RNN", [f(6, 2, 3), f(1, 5, 3), f(1, 5, 5), f(1, 10), np.array([2, 6], "i4")],
        {"hidden_size": 5, "activations": ["Relu"]}, 2,
    ),
    "resize-linear": ("", "Resize", [f(1, 2, 5, 7), None, np.array([1, 1, 1.7, 2.3], "f4")], {"mode": "linear"}, 1),
    "resize-cubic": (
        "", "Resize", [f(1, 2, 5, 7), None, None, np.array([1, 2, 9, 4])],
        {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}, 1,
    ),
    "resize-nearest": (
        "", "Resize", [f(1, 2, 5, 7), None, np.array([1, 1, 2, 2], "f4")],
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, 1,
    ),
    "pad-negative": ("", "Pad", [f(2, 5, 6), np.array([0, -1, 2, 0, 1, -2])], {}, 1),
    "slice-backwards": ("", "Slice", [f(4, 9), np.array([-1]), np.array([-10]), np.array([1]), np.array([-2])], {}, 1),
    "qlinear-conv": (
        "", "QLinearConv",
        [q("uint8", 1, 3, 6, 6), np.float32(0.02), np.uint8(120), q("int8", 4, 3, 3, 3), s(4), np.zeros(4, "i1"),
         np.float32(0.5), np.uint8(128), RANDOM.integers(-500, 500, 4).astype("i4")], {"pads": [1] * 4}, 1,
    ),
    "layer-norm-results": ("", "LayerNormalization", [f(2, 3, 4), f(3, 4), f(3, 4)], {"axis": 1}, 3),
    "gemm-scaled": ("", "Gemm", [f(3, 4), f(5, 3), f(4, 5)], {"transA": 1, "transB": 1, "alpha": 0.3, "beta": 0.7}, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_onnxruntime_gives(case: str, tmp_path: Path) -> None:
    domain, operator, values, attributes, count = CASES[case]
    names = [f"out{n}" if count < 4 or n in (0, 3) else "" for n in range(count)]  # those between are not computed
    given = {f"in{n}": np.asarray(v) for n, v in enumerate(values) if v is not None}
    feeds = {n: v for n, v in given.items() if n == "in0"}
    node = H.make_node(
        operator,
        [f"in{n}" if v is not None else "" for n, v in enumerate(values)],
        names,
        domain=domain,
        **attributes,
    )
    graph = H.make_graph(
        [node],
        "g",
        [H.make_tensor_value_info(n, H.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in feeds.items()],
        [H.make_empty_tensor_value_info(name) for name in names if name],
        [N.from_array(v, n) for n, v in given.items() if n not in feeds],
    )
    opsets = [H.make_opsetid("", 17), H.make_opsetid(MS, 1)]
    path = tmp_path / "m.onnx"
    onnx.save(H.make_model(graph, opset_imports=opsets, ir_version=9), path)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = session.run(None, feeds)
    with torch.no_grad():
        found = node_cases.network(*node_cases.generated(path))(*(torch.from_numpy(v) for v in feeds.values()))
    for one, other in zip(found if count > 1 else (found,), wanted, strict=True):
        np.testing.assert_allclose(one.detach().double().numpy(), other.astype("f8"), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["densenet121", "inception_v2", "shufflenet", "squeezenet"])
def test_networks_that_everybody_knows(name: str) -> None:
    """With weights that are made when it runs, as the ONNX project ships them."""
    path = Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx"
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {port.name: f(*port.shape) for port in session.get_inputs()}
    wanted = session.run(None, feeds)[0]
    with torch.no_grad():
        found = node_cases.network(*node_cases.generated(path))(*(torch.from_numpy(v) for v in feeds.values()))
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)
