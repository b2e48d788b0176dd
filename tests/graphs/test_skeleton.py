"""The graph of a file without its weights, against the `onnx` package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelglot.core.limits import Limits
from modelglot.core.tensor import Tensor
from modelglot.engine import stream
from modelglot.formats.onnx.frame import of_file
from modelglot.graphs.skeleton import graph_of, skeleton
from modelglot.sources.file import LocalFiles

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")


def made(path: Path) -> Path:
    h, numpy = onnx.helper, onnx.numpy_helper
    branch = h.make_graph(
        [h.make_node("Constant", [], ["y"], value=numpy.from_array(np.ones((2, 2000), np.float32), "inside"))],
        "then",
        [],
        [h.make_tensor_value_info("y", 1, [2, 2000])],
    )
    graph = h.make_graph(
        [h.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch)],
        "g",
        [h.make_tensor_value_info("c", 9, [])],
        [h.make_tensor_value_info("o", 1, None)],
        [numpy.from_array(np.arange(3), "shape"), numpy.from_array(np.ones(9000, np.float16), "weight")],
    )
    onnx.save(h.make_model(graph), path)
    return path


def test_small_values_are_kept_and_large_ones_named(tmp_path: Path) -> None:
    files = LocalFiles(str(made(tmp_path / "m.onnx")))
    source = files.open("m.onnx")

    def read(tensor: Tensor) -> bytearray:
        return stream.read(tensor, lambda _: source)

    graph = graph_of(files, Limits(), read).graph
    assert graph.initializers["shape"].const_value.numpy().tolist() == [0, 1, 2]
    assert graph.initializers["weight"].const_value.location == "weight"
    assert list(graph.initializers["weight"].const_value.shape) == [9000]
    inside = graph.node(0).attributes["then_branch"].value.node(0).attributes["value"].value
    assert inside.location == "o.then_branch.y"

    whole = onnx.load(tmp_path / "m.onnx").SerializeToString()
    raw = skeleton(of_file(files, Limits()), read, most=1 << 20)
    assert onnx.load_from_string(raw) == onnx.load_from_string(whole)
    files.close()
