"""A program of its own that infers types and shapes: what the `onnx` library does with a hostile graph ends here.

It is started by `modelglot.graphs.inference`, gets a ``ModelProto`` on stdin and gives JSON: for each graph, the main
one and then those nested in it in the order of nodes and attributes, ``{value: [element type, sizes or null]}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from modelglot.containers.hdf5.child import limited


def inferred(raw: bytes) -> list[dict[str, Any]]:
    """Raises what the library raises."""
    import onnx

    model = onnx.load_from_string(raw)
    made = onnx.shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=False)
    return [_values(graph) for graph in _graphs(made.graph)]


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _values(graph: Any) -> dict[str, Any]:
    made = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type"):
            tensor = value.type.tensor_type
            sizes = [_size(axis) for axis in tensor.shape.dim] if tensor.HasField("shape") else None
            made[value.name] = [tensor.elem_type, sizes]
    return made


def _size(axis: Any) -> int | str | None:
    return axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None


def main() -> None:
    import onnx.shape_inference  # noqa: F401

    raw = sys.stdin.buffer.read()
    limited()
    sys.stdout.write(json.dumps(inferred(raw)))


if __name__ == "__main__":
    main()
