"""Types and shapes of the values of a graph, inferred by the `onnx` library in a process of its own.

Random changes to small graphs were enough to end a process inside of that library. What it says is a help, so a
graph that it fails on is left as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from modelglot.graphs.builder import onnx_ir

SECONDS = 120
_KINDS = range(1, 29)


def infer(model: Any) -> None:
    """Fill in what an `onnx_ir.Model` does not say of its values. Functions are in their places already."""
    ir = onnx_ir()
    try:
        raw = ir.serde.serialize_model(model).SerializeToString()
    except Exception:  # a graph that cannot be written shows what is wrong with it when it is read on
        return
    for graph, found in zip(_graphs(model.graph), ask(raw), strict=False):
        values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
        for value in values:
            said = found.get(value.name) if isinstance(found, dict) else None
            if said is not None and _is_type(said):
                _fill(ir, value, said[0], said[1])


def ask(raw: bytes) -> list[Any]:
    """What the child says of a ``ModelProto``; nothing where it fails."""
    command = [sys.executable, "-m", "modelglot.graphs.inference_child"]
    try:
        done = subprocess.run(command, input=raw, capture_output=True, timeout=SECONDS, check=True)
        found = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _is_type(said: Any) -> bool:
    """The answer is not trusted more than the file."""
    if not isinstance(said, list) or len(said) != 2 or said[0] not in _KINDS:
        return False
    sizes = said[1]
    return sizes is None or (
        isinstance(sizes, list) and all(isinstance(size, (int, str, type(None))) for size in sizes) and len(sizes) < 100
    )


def _fill(ir: Any, value: Any, kind: int, sizes: list[Any] | None) -> None:
    if value.type is None:
        value.type = ir.TensorType(ir.DataType(kind))
    if value.shape is None and sizes is not None:
        value.shape = ir.Shape(sizes)


def _graphs(graph: Any) -> Iterator[Any]:
    """In the order of the child."""
    yield graph
    for node in graph:
        for attribute in node.attributes.values():
            kind = getattr(attribute.type, "name", "")
            for inner in (attribute.value,) if kind == "GRAPH" else attribute.value if kind == "GRAPHS" else ():
                yield from _graphs(inner)
