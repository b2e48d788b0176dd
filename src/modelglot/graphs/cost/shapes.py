"""Shapes of all values of an ONNX graph, for sizes of its inputs: inferred by `onnx`, shape arithmetic computed.

`onnx`'s inference follows shapes through operators, and numbers through a few. What it leaves open is mostly a
`Reshape` whose shape the graph computes: the nodes that compute it, and those only, are run in numpy by `onnx`'s
reference implementation, on numbers that are known and few.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from modelglot.core.errors import InvalidFileError

_NAMES = """
Add Sub Mul Div Mod Neg Abs Floor Ceil Round Sqrt Min Max Pow Cast Concat Gather Slice Squeeze Unsqueeze Reshape Equal
Greater GreaterOrEqual Less LessOrEqual Not And Or Where ReduceProd ReduceSum ReduceMax ReduceMin Identity Transpose
Split
"""
ARITHMETIC = frozenset(_NAMES.split())
_MOST = 1024  # numbers of an input or output of such a node
_ROUNDS = 12


def with_shapes(model: Any) -> Any:
    """A ``ModelProto`` with the shapes of its values as far as they are known. The model is changed.

    Raises InvalidFileError where the graph contradicts itself.
    """
    from onnx import shape_inference

    known: dict[str, np.ndarray[Any, Any]] = {}
    for _ in range(_ROUNDS):
        try:
            model = shape_inference.infer_shapes(model, data_prop=True)
        except Exception as error:  # of its own classes
            raise InvalidFileError(f"shapes of the graph do not fit: {str(error)[:300]}") from None
        before = len(known)
        _compute(model, known)
        if len(known) == before and not _chosen(model, known):
            break
        _write(model.graph, known)
    return model


def shapes_of(graph: Any) -> dict[str, tuple[int, ...]]:
    """Of the values whose sizes are all known."""
    found: dict[str, tuple[int, ...]] = {}
    for info in (*graph.value_info, *graph.input, *graph.output):
        kind = info.type.tensor_type
        told = info.type.HasField("tensor_type") and kind.HasField("shape")
        if told and all(d.HasField("dim_value") for d in kind.shape.dim):
            found[info.name] = tuple(d.dim_value for d in kind.shape.dim)
    for tensor in graph.initializer:
        found[tensor.name] = tuple(tensor.dims)
    return found


def _compute(model: Any, known: dict[str, np.ndarray[Any, Any]]) -> None:
    """Numbers of small values: constants, sizes of shapes that are known, and what is computed of these."""
    from onnx import numpy_helper

    graph, shapes = model.graph, shapes_of(model.graph)
    for tensor in graph.initializer:
        if tensor.name not in known and prod(tensor.dims) <= _MOST and tensor.data_location == 0:
            known[tensor.name] = numpy_helper.to_array(tensor)
    for node in graph.node:
        if not node.output or node.output[0] in known or node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type == "Constant":
            value = _constant(node)
            if value is not None and value.size <= _MOST:
                known[node.output[0]] = value
        elif node.op_type == "Shape" and node.input[0] in shapes:
            sizes = shapes[node.input[0]]
            bounds = {a.name: a.i for a in node.attribute}
            known[node.output[0]] = np.array(sizes[bounds.get("start", 0) : bounds.get("end", len(sizes))], np.int64)
        elif node.op_type == "Size" and node.input[0] in shapes:
            known[node.output[0]] = np.array(prod(shapes[node.input[0]]), np.int64)
        elif node.op_type == "ConstantOfShape" and node.input[0] in known:
            _filled(node, known)
        elif node.op_type == "Range" and all(i in known for i in node.input):
            _ranged(node, known)
        elif node.op_type in ARITHMETIC and all(not i or i in known for i in node.input):
            _run(model, node, known)


def _constant(node: Any) -> np.ndarray[Any, Any] | None:
    from onnx import numpy_helper

    for attribute in node.attribute:
        if attribute.name == "value" and attribute.t.data_location == 0:
            return np.asarray(numpy_helper.to_array(attribute.t))
        if attribute.name in ("value_int", "value_ints"):
            return np.array(attribute.i if attribute.name == "value_int" else list(attribute.ints), np.int64)
        if attribute.name in ("value_float", "value_floats"):
            return np.array(attribute.f if attribute.name == "value_float" else list(attribute.floats), np.float32)
    return None


def _filled(node: Any, known: dict[str, np.ndarray[Any, Any]]) -> None:
    from onnx import numpy_helper

    sizes = [int(n) for n in known[node.input[0]].reshape(-1)]
    if min(sizes, default=0) >= 0 and prod(sizes) <= _MOST:
        value = next((numpy_helper.to_array(a.t).reshape(-1)[0] for a in node.attribute), np.float32(0))
        known[node.output[0]] = np.full(sizes, value)


def _ranged(node: Any, known: dict[str, np.ndarray[Any, Any]]) -> None:
    start, stop, step = (known[name].reshape(-1)[0] for name in node.input)
    if step and 0 <= (stop - start) / step <= _MOST:
        known[node.output[0]] = np.arange(start, stop, step, dtype=known[node.input[0]].dtype)


def _run(model: Any, node: Any, known: dict[str, np.ndarray[Any, Any]]) -> None:
    """One node in numpy; what it cannot do stays unknown."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    helper = onnx.helper
    names = list(dict.fromkeys(i for i in node.input if i))
    ins = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(known[n].dtype), None) for n in names]
    outs = [onnx.ValueInfoProto(name=o) for o in node.output if o]
    graph = helper.make_graph([node], "one", ins, outs)
    one = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version or 8)
    try:
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(one).run(None, {n: known[n] for n in names})
    except Exception:  # whatever a damaged node makes numpy raise: its value stays unknown
        return
    for name, value in zip((o for o in node.output if o), made, strict=False):
        if isinstance(value, (np.ndarray, np.generic)) and value.size <= _MOST:
            known[name] = np.asarray(value)


def _write(graph: Any, known: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Nodes whose outputs are all known become constants, which the inference then looks at."""
    from onnx import numpy_helper

    kept, made = [], []
    have = {tensor.name for tensor in graph.initializer}
    results = {output.name for output in graph.output}
    for node in graph.node:
        names = [o for o in node.output if o]
        if names and all(n in known for n in names) and not results & set(names) and node.op_type != "Constant":
            made += [numpy_helper.from_array(known[n], n) for n in names if n not in have]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)


def _chosen(model: Any, known: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """`If` nodes whose condition is known become their branch; True where there was one."""
    nodes, found = [], False
    for node in model.graph.node:
        condition = known.get(node.input[0]) if node.op_type == "If" and node.input else None
        if condition is None or condition.size != 1:
            nodes.append(node)
            continue
        name = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        branch = next((a.g for a in node.attribute if a.name == name), None)
        if branch is None:
            nodes.append(node)
            continue
        found = True
        nodes += _inlined(node, branch, model.graph)
    if found:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return found


def _rename(node: Any, renamed: Mapping[str, str]) -> None:
    """In the graphs inside a node as well: they see the values around them."""
    for field in (node.input, node.output):
        for at, name in enumerate(field):
            field[at] = renamed.get(name, name)
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.HasField("g") else ():
            _rename(inner, renamed)
        for output in attribute.g.output if attribute.HasField("g") else ():
            output.name = renamed.get(output.name, output.name)


def _inlined(node: Any, branch: Any, graph: Any) -> list[Any]:
    """The nodes of a branch under names of their own, and its outputs under those of the `If`."""
    import onnx

    prefix = f"{node.name or node.output[0]}."
    inner = {o for n in branch.node for o in n.output if o} | {t.name for t in branch.initializer}
    renamed = {name: prefix + name for name in inner}
    made = []
    for old in branch.node:
        new = onnx.NodeProto()
        new.CopyFrom(old)
        _rename(new, renamed)
        made.append(new)
    for tensor in branch.initializer:
        copy = graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = renamed[tensor.name]
    outputs = zip(node.output, branch.output, strict=False)
    return made + [onnx.helper.make_node("Identity", [renamed.get(o.name, o.name)], [to]) for to, o in outputs if to]
