"""What a graph takes: operations against PyTorch's own counter, shapes that the graph computes, memory by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot
from modelglot.core.cost import Cost
from modelglot.core.errors import UnsupportedError

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

H, N, F = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT


def saved(path: Path, nodes: list, inputs: dict, weights: dict, outputs: tuple = ("y",)) -> Path:
    ins = [H.make_tensor_value_info(n, *(s if isinstance(s, tuple) else (F, s))) for n, s in inputs.items()]
    outs = [H.make_tensor_value_info(n, F, None) for n in outputs]
    graph = H.make_graph(nodes, "g", ins, outs, [N.from_array(np.asarray(v), n) for n, v in weights.items()])
    onnx.save(H.make_model(graph, opset_imports=[H.make_opsetid("", 23)], ir_version=11), path)
    return path


def counted(path: Path, *inputs: str) -> Cost:
    report = modelglot.inspect(path, count_cost=True, inputs=inputs)
    assert report.cost is not None
    return report.cost


def by_torch(function: Any, *args: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        function(*args)
    return counter.get_total_flops()


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


CASES: dict[str, tuple[list, dict, dict, Any]] = {
    "conv": (
        [H.make_node("Conv", ["x", "w"], ["y"], strides=[2, 1], pads=[1, 1, 1, 1], group=2)],
        {"x": [2, 6, 17, 19]}, {"w": f32(8, 3, 3, 5)},
        lambda: by_torch(lambda x, w: torch.conv2d(torch.nn.functional.pad(x, (1, 1, 1, 1)), w, None, (2, 1), groups=2),
                         torch.ones(2, 6, 17, 19), torch.ones(8, 3, 3, 5)),
    ),
    "conv-transpose": (
        [H.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
        {"x": [1, 4, 9, 7]}, {"w": f32(4, 6, 3, 3)},
        lambda: by_torch(lambda x, w: torch.conv_transpose2d(x, w, stride=2),
                         torch.ones(1, 4, 9, 7), torch.ones(4, 6, 3, 3)),
    ),
    "matmul": (
        [H.make_node("MatMul", ["x", "w"], ["y"])], {"x": [3, 5, 16]}, {"w": f32(16, 24)},
        lambda: by_torch(torch.matmul, torch.ones(3, 5, 16), torch.ones(16, 24)),
    ),
    "gemm": (
        [H.make_node("Gemm", ["x", "w"], ["y"], transB=1)], {"x": [5, 16]}, {"w": f32(24, 16)},
        lambda: by_torch(torch.nn.functional.linear, torch.ones(5, 16), torch.ones(24, 16)),
    ),
    "einsum": (
        [H.make_node("Einsum", ["x", "w"], ["y"], equation="bik,kj->bij")], {"x": [3, 5, 16]}, {"w": f32(16, 24)},
        lambda: by_torch(lambda x, w: torch.einsum("bik,kj->bij", x, w), torch.ones(3, 5, 16), torch.ones(16, 24)),
    ),
    "attention": (
        [H.make_node("Attention", ["x", "k", "v"], ["y"])],
        {"x": [2, 4, 6, 8], "k": [2, 4, 9, 8], "v": [2, 4, 9, 8]}, {},
        lambda: by_torch(lambda q, k, v: (q @ k.mT).softmax(-1) @ v, torch.ones(2, 4, 6, 8),
                         torch.ones(2, 4, 9, 8), torch.ones(2, 4, 9, 8)) + 5 * 2 * 4 * 6 * 9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_operations_are_those_that_torch_counts(name: str, tmp_path: Path) -> None:
    nodes, inputs, weights, wanted = CASES[name]
    assert counted(saved(tmp_path / "m.onnx", nodes, inputs, weights)).flops == wanted()


def test_recurrent_layers_multiply_what_their_matrices_hold(tmp_path: Path) -> None:
    weights = {"w": f32(2, 4 * 7, 5), "r": f32(2, 4 * 7, 7)}
    node = H.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=7, direction="bidirectional")
    cost = counted(saved(tmp_path / "m.onnx", [node], {"x": [11, 3, 5]}, weights))
    products = 2 * 11 * 3 * (weights["w"].size + weights["r"].size)
    assert products < cost.flops < products * 1.5


def test_shapes_that_the_graph_computes(tmp_path: Path) -> None:
    """The batch is taken from a shape, multiplied, put into another and chosen by an `If`."""
    branch = {
        name: H.make_graph(
            [H.make_node("MatMul", ["flat", weight], [f"{name}_out"])], name, [],
            [H.make_tensor_value_info(f"{name}_out", F, None)],
        )
        for name, weight in (("small", "a"), ("large", "b"))
    }  # fmt: skip
    nodes = [
        H.make_node("Shape", ["x"], ["s"]),
        H.make_node("Gather", ["s", "zero"], ["n"]),
        H.make_node("Mul", ["n", "two"], ["m"]),
        H.make_node("Concat", ["m", "minus"], ["to"], axis=0),
        H.make_node("Reshape", ["x", "to"], ["flat"]),
        H.make_node("Greater", ["m", "two"], ["many"]),
        H.make_node("Squeeze", ["many"], ["condition"]),
        H.make_node("If", ["condition"], ["y"], then_branch=branch["large"], else_branch=branch["small"]),
    ]
    weights = {"zero": np.array([0]), "two": np.array([2]), "minus": np.array([-1]), "a": f32(8, 3), "b": f32(8, 30)}
    path = saved(tmp_path / "m.onnx", nodes, {"x": ["batch", 16]}, weights)
    assert counted(path).by_operator["MatMul"] == 2 * 2 * 8 * 3  # an axis without a size is 1
    cost = counted(path, "f32[5,16]")
    assert cost.by_operator["MatMul"] == 2 * 10 * 8 * 30
    assert cost.inputs == {"x": "f32[5,16]"}
    assert not cost.unknown


def test_what_is_made_of_weights_alone_is_free(tmp_path: Path) -> None:
    nodes = [H.make_node("Mul", ["w", "w"], ["v"]), H.make_node("MatMul", ["x", "v"], ["y"])]
    cost = counted(saved(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, {"w": f32(4, 4)}))
    assert [s.operator for s in cost.steps] == ["MatMul"]
    assert cost.steps[0].weights == 16


def test_memory_is_what_lives_at_one_time(tmp_path: Path) -> None:
    """x -> a -> b -> c, and y of a and c: a lives to the end, b only to c; a reshape takes nothing."""
    nodes = [
        H.make_node("Relu", ["x"], ["a"]),
        H.make_node("Reshape", ["a", "to"], ["r"]),
        H.make_node("MatMul", ["r", "w"], ["b"]),
        H.make_node("MatMul", ["b", "u"], ["c"]),
        H.make_node("Add", ["r", "c"], ["y"]),
    ]
    weights = {"to": np.array([10, 4]), "w": f32(4, 50), "u": f32(50, 4)}
    cost = counted(saved(tmp_path / "m.onnx", nodes, {"x": [4, 10]}, weights))
    a, b, c, y = 160, 2000, 160, 160
    assert (cost.peak, cost.activations) == (a + b + c, a + b + c + y)


def test_unknown_shapes_are_said(tmp_path: Path) -> None:
    nodes = [
        H.make_node("NonZero", ["x"], ["n"]),
        H.make_node("Cast", ["n"], ["f"], to=F),
        H.make_node("Relu", ["f"], ["y"]),
    ]
    cost = counted(saved(tmp_path / "m.onnx", nodes, {"x": [4]}, {}))
    assert cost.unknown == {"Relu": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [("z=f32[1,2]", "no input"), ("x=f32[1,2,3]", "axes"), ("x=f32[9,16]", "not 9"), ("x=f32[", "no input")],
)
def test_inputs_that_are_not_there(given: str, said: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", [H.make_node("Relu", ["x"], ["y"])], {"x": [2, 16]}, {})
    with pytest.raises(UnsupportedError, match=said):
        counted(path, given)


def test_shapes_that_contradict_one_another_are_not_counted(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", [H.make_node("MatMul", ["x", "w"], ["y"])], {"x": [2, 16]}, {"w": f32(3, 3)})
    assert counted(path).unknown == {"MatMul": 1}
