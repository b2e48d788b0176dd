"""The cost of an ONNX graph for sizes of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.cost import Cost
from modelglot.core.errors import UnsupportedError, printable
from modelglot.formats.onnx.types import word
from modelglot.graphs.cost.count import counted
from modelglot.graphs.cost.shapes import with_shapes
from modelglot.graphs.inputs import HINT, Fixed, Given, Port


def cost_of(model: Any, given: Mapping[str, Given]) -> Cost:
    """The cost of a ``ModelProto``. An axis that has a name and no size is 1 where ``given`` does not say it.

    Raises UnsupportedError for an input that is not there or has other axes, InvalidFileError for shapes that do not
    fit.
    """
    graph = model.graph
    stored = {t.name for t in graph.initializer}
    inputs = {i.name: i for i in graph.input if i.name not in stored}
    given = {_only(inputs): port for port in given.values()} if set(given) == {""} else given
    sizes: dict[str, int] = {}
    for name, port in given.items():
        if name not in inputs:
            known = ", ".join(printable(n, code=True) for n in list(inputs)[:8])
            raise UnsupportedError(
                f"{printable(name, code=True)} is no input of the graph", detail=f"there are {known}", hint=HINT
            )
        if isinstance(port, Port):
            _say(inputs[name], port, sizes)
        else:
            _fix(graph, inputs.pop(name), port)
    shown = {}
    for name, info in inputs.items():
        kind = info.type.tensor_type
        for axis in kind.shape.dim:
            if not axis.HasField("dim_value"):
                axis.dim_value = sizes.get(axis.dim_param, 1) if axis.dim_param else 1
        shown[name] = f"{word(kind.elem_type)}[{','.join(str(d.dim_value) for d in kind.shape.dim)}]"
    del graph.value_info[:]  # what an exporter wrote may be of other sizes
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    return counted(with_shapes(model).graph, shown)


def _only(inputs: Mapping[str, Any]) -> str:
    if len(inputs) != 1:
        names = ", ".join(printable(n, code=True) for n in list(inputs)[:8])
        raise UnsupportedError(f"the graph has {len(inputs)} inputs: {names}", hint="write `--input NAME=...`")
    return next(iter(inputs))


def _fix(graph: Any, info: Any, fixed: Fixed) -> None:
    """An input that is a number: branches that depend on it are chosen."""
    from onnx import helper, numpy_helper

    kind = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    if not isinstance(fixed.value, (bool, int, float)):
        raise UnsupportedError(f"input {printable(info.name, code=True)} is a tensor of numbers", hint=HINT)
    graph.initializer.append(numpy_helper.from_array(np.array(fixed.value).astype(kind), info.name))
    graph.input.remove(info)


def _say(info: Any, port: Port, sizes: dict[str, int]) -> None:
    """Sizes for an input; a named axis of it has that size wherever the name is."""
    axes = info.type.tensor_type.shape.dim
    if info.type.tensor_type.HasField("shape") and len(axes) != len(port.dims):
        raise UnsupportedError(f"input {printable(info.name, code=True)} has {len(axes)} axes, not {len(port.dims)}")
    while len(axes) < len(port.dims):
        info.type.tensor_type.shape.dim.add()
    for axis, size in zip(info.type.tensor_type.shape.dim, port.dims, strict=True):
        if not isinstance(size, int):
            continue
        if axis.HasField("dim_value") and axis.dim_value != size:
            raise UnsupportedError(f"input {printable(info.name, code=True)} has {axis.dim_value} there, not {size}")
        if axis.dim_param:
            sizes.setdefault(axis.dim_param, size)
        axis.dim_value = size
