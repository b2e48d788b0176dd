"""The cost of a TensorFlow Lite file: the shapes of all values stand in it."""

from __future__ import annotations

from typing import Any

from modelglot.core.cost import Cost
from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.formats.onnx.types import NUMBERS
from modelglot.formats.tflite.layers import Operator
from modelglot.formats.tflite.model import walked
from modelglot.graphs.builder import onnx_ir
from modelglot.graphs.cost.count import counted

_OTHER = {"LSTM": "BASIC_LSTM", "RNN": "BASIC_RNN"}  # ONNX means others by these names
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")


def cost_of(files: FileSet, limits: Limits, given: bool) -> Cost:
    """Of the first subgraph. Raises the errors of reading, and UnsupportedError for ``given`` sizes: they are fixed."""
    if given:
        raise UnsupportedError("the sizes of a TensorFlow Lite file stand in it", hint="leave `--input` out: `--cost`")
    onnx_ir()  # says what is missing
    from onnx import helper

    walk, _ = walked(files, limits)
    ports = walk.ports[0]

    def value(number: int) -> str:
        return "" if number < 0 else f"{number}"

    def info(number: int) -> Any:
        kind = NUMBERS.get(ports[number].dtype, 1)
        return helper.make_tensor_value_info(value(number), kind, [max(n, 1) for n in walk.shapes[number]])

    nodes = [
        helper.make_node(
            _OTHER.get(op.name, op.name),
            [value(n) for n in op.inputs],
            [value(n) for n in op.outputs],
            **_attributes(op),
        )
        for op in walk.nodes
    ]
    graph = helper.make_graph(nodes, "main", [info(n) for n in walk.main[0]], [info(n) for n in walk.main[1]])
    graph.value_info.extend(info(n) for n in range(len(ports)))
    for number in walk.weights:
        graph.initializer.add(name=value(number), dims=walk.shapes[number])
    for node, op in zip(graph.node, walk.nodes, strict=True):
        node.name = next((ports[n].name for n in op.outputs if n >= 0), "")
    shown = {ports[n].name: f"{ports[n].dtype}{list(walk.shapes[n])}".replace(" ", "") for n in walk.main[0]}
    return counted(graph, shown)


def _attributes(op: Operator) -> dict[str, Any]:
    if op.name in _POOLS and op.options is not None:
        return {"kernel_shape": [op.options.signed(4), op.options.signed(3)]}
    return {}
