"""A graph that was made, with weights that are still in their files, as what the ONNX writer puts around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.tensor import Tensor
from modelglot.formats.onnx.frame import Frame, of_graph
from modelglot.formats.onnx.types import NUMBERS
from modelglot.graphs.builder import onnx_ir


def frame_of(model: Any, tensors: Mapping[str, Tensor]) -> Frame:
    """The frame of an ``onnx_ir.Model`` for `Options.frame`; ``tensors`` are the weights that the engine will move.

    Weights are values of the main graph that no node makes and that are no inputs; whether they are registered as
    initializers does not matter. Initializers under other names keep the value that the graph has for them.
    Raises UnsupportedError for a dtype or an encoding that ONNX has no name for.
    """
    for tensor in tensors.values():
        if tensor.type_name not in NUMBERS:
            raise UnsupportedError(f"ONNX has no type `{tensor.type_name}`", tensor=printable(tensor.name))
    for name in tensors:
        model.graph.initializers.pop(name, None)
    proto = onnx_ir().serde.serialize_model(model)
    graph = proto.graph.SerializeToString(deterministic=True)
    proto.ClearField("graph")
    return of_graph(proto.SerializeToString(deterministic=True), graph, tensors.values())
