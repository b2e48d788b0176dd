"""From a graph to its source and the tensors that go with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import Tensor
from modelglot.graphs.builder import onnx_ir, quiet
from modelglot.graphs.inference import infer
from modelglot.graphs.pytorch import literals, names
from modelglot.graphs.pytorch.guard import check as guard
from modelglot.graphs.pytorch.module import Module, Read
from modelglot.graphs.pytorch.nodes import write_graph
from modelglot.graphs.pytorch.rules import check
from modelglot.graphs.pytorch.scope import Lines, Scope
from modelglot.graphs.pytorch.source import stored_as, write
from modelglot.graphs.pytorch.support_text import parts
from modelglot.graphs.pytorch.values import Value


@dataclass(frozen=True, slots=True)
class Generated:
    """``source`` is Python; ``keys`` the tensors it needs, by their name in the file, with their keys in the state
    dict, which are other ones only where `torch.nn.Module` cannot have the name. ``tensors`` are those tensors under
    their keys; ``opset`` is the version of the standard operators."""

    source: str
    keys: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    opset: int = 0

    @property
    def renamed(self) -> dict[str, str]:
        return {name: key for name, key in self.keys.items() if name != key}


def generate(
    model: Any,
    tensors: Mapping[str, Tensor],
    read: Read,
    title: str = "",
    weights: tuple[str, str] = ("safetensors", "net.safetensors"),
) -> Generated:
    """The source of an `onnx_ir.Model` that `graph_of` gave; ``weights`` says the format and name of their file.

    Functions of the model are inlined, and shapes inferred, in the model that is given. Raises UnsupportedError for
    operators that have no rule, before anything is made, and for forms of one that torch cannot express;
    InvalidFileError where the graph breaks the specification.
    """
    _prepare(model)
    graph, versions = model.graph, dict(model.opset_imports)
    check(graph, versions)
    module = Module(tensors, read, versions, names.Keys(tensors))
    module.taken |= set(parts()) | {
        "Net",
        "Group",
        "load",
        "load_file",
        "Any",
        "Path",
        "Tensor",
        "Callable",
        "Sequence",
    }
    scope = Scope(module, Lines())
    inputs = list(_inputs(graph, scope))
    outputs = write_graph(graph, scope)
    if not outputs:
        raise InvalidFileError("the graph has no outputs")
    source = write(module, graph, title, inputs, scope.lines.made, outputs, weights)
    guard(source, module.taken | set(parts()) | {name for part in parts().values() for name in part.uses})
    keys = {name: module.keys.key(name) for name in module.weights}
    stored = {key: _stored(tensors[name], key, module.weights[name]) for name, key in keys.items()}
    return Generated(source, keys, stored, versions.get("", 0))


def _stored(tensor: Tensor, key: str, value: Value) -> Tensor:
    """A tensor of the file under its key; integers that lie several in a byte as their bytes."""
    if value.element in literals.PACKED:
        return replace(tensor, name=key, dtype=DTYPES["u8"], shape=stored_as(value)[0], encoding=PLAIN)
    return replace(tensor, name=key)


def _prepare(model: Any) -> None:
    """Functions in their places, and types and shapes of values where they can be told."""
    onnx_ir()
    from onnx_ir.passes.common import InlinePass

    with quiet():
        if model.functions:
            try:
                InlinePass()(model)
            except Exception as error:  # onnx_ir's own, of several types
                raise InvalidFileError("the functions of this model cannot be put in their places") from error
    infer(model)


def _inputs(graph: Any, scope: Scope) -> Iterator[str]:
    """Parameters of `forward`; a weight that the graph lists among its inputs is none."""
    for value in graph.inputs:
        if value.name in graph.initializers:
            continue
        name = names.identifier(value.name or "", "x", scope.module.taken)
        kind = type(value.type).__name__
        scope.bind(value, Value(name))
        if kind == "TensorType" and scope.module.device == "None":
            scope.module.device = f"{name}.device"
        yield f"{name}: {_ANNOTATIONS.get(kind, 'Tensor')}"


_ANNOTATIONS = {"TensorType": "Tensor", "SequenceType": "list[Tensor]", "OptionalType": "Any"}
