"""The tensors of a file as the library of its format reads them, under the names that modelglot documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]


def onnx(path: Path) -> Arrays:
    import onnx
    from onnx import numpy_helper

    def graph(g: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        yield from ((prefix + t.name, t) for t in g.initializer)
        for node in g.node:
            for attribute in node.attribute:
                label = node.output[0] if node.op_type == "Constant" else f"{node.name}.{attribute.name}"
                if attribute.HasField("t"):
                    yield prefix + label, attribute.t
                if attribute.HasField("g"):
                    yield from graph(attribute.g, f"{prefix}{label}.")

    return {name: numpy_helper.to_array(t) for name, t in graph(onnx.load(path).graph, "")}


def tflite(path: Path) -> Arrays:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    model = schema.Model.GetRootAs(path.read_bytes())
    assert model.SubgraphsLength() == 1
    interpreter, found = Interpreter(str(path)), dict[str, Any]()
    for index in range(model.Subgraphs(0).TensorsLength()):
        tensor = model.Subgraphs(0).Tensors(index)
        if model.Buffers(tensor.Buffer()).DataLength():
            name = tensor.Name().decode()
            assert name not in found
            found[name] = interpreter.get_tensor(index)
    return found


REFERENCES: dict[str, Callable[[Path], Arrays]] = {"onnx": onnx, "tflite": tflite}
