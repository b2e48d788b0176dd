"""One walk over an ONNX file: its tensors with their places, the nodes that use them, what the file says of itself.

Nodes, initializers and nested graphs are met in stored order; a tensor is named by its value, in a nested graph or a
function after the way to it: ``If_0.then_branch.weight``, ``domain::function.weight``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.core.errors import DamagedFileError, ModelFileError, printable
from modelglot.core.notes import Note
from modelglot.core.tensor import EMPTY, Stored, Tensor
from modelglot.formats.onnx.tensors import Proto, Reader, parse

# fields of ModelProto, GraphProto, NodeProto, AttributeProto and FunctionProto, by number
GRAPH, TRAINING, FUNCTION = 7, 20, 25
NODE, GRAPH_NAME, INITIALIZER, GRAPH_DOC, INPUT, OUTPUT, SPARSE = 1, 2, 5, 10, 11, 12, 15
_INPUT, _OUTPUT, _NAME, _OPERATOR, _ATTRIBUTE, _DOMAIN, _NODE_PROPERTY = 1, 2, 3, 4, 5, 7, 9
_SCOPES = b"pkg.torch.onnx.name_scopes"  # property of a node: the modules around it, as PyTorch's exporter writes them
_MODULES = re.compile(r"'([^']*)'")
_ONE_TENSOR, _ONE_GRAPH, _TENSORS, _GRAPHS, _ONE_SPARSE, _SPARSES = 5, 6, 10, 11, 22, 23
_FUNCTION_NODE, _FUNCTION_DOMAIN, _OVERLOAD = 7, 10, 13


class Place(NamedTuple):
    """Where a ``TensorProto`` lies: its own span, and those of the messages around it, outermost first."""

    tensor: Tensor
    span: Field
    around: tuple[Field, ...]
    initializer: bool


class Ref(NamedTuple):
    """A value that is a tensor of the file, its axes in the order ``perm``."""

    tensor: str
    perm: tuple[int, ...] | None = None


@dataclass(slots=True)
class Scope:
    """The values of a graph that are tensors of the file; those of the graphs around it are seen as well."""

    prefix: str = ""
    outer: Scope | None = None
    values: dict[str, Ref] = field(default_factory=dict)

    def find(self, value: str) -> Ref | None:
        scope: Scope | None = self
        while scope is not None:
            if value in scope.values:
                return scope.values[value]
            scope = scope.outer
        return None


@dataclass(slots=True)
class Node:
    """``attributes`` holds integers, lists of them, and bytes; tensors and graphs were met on the way."""

    scope: Scope
    operator: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    module: str = ""  # that it was exported from, where the file says it
    attributes: dict[str, Any] = field(default_factory=dict)


def _module(entry: Field) -> str:
    """The innermost module of a node's ``name_scopes``: ``['', 'encoder', 'encoder.fc', 'linear']``."""
    parts = {part.number: part for part in entry.fields() if part.number in (1, 2)}
    if 1 not in parts or 2 not in parts or bytes(parts[1].bytes) != _SCOPES:
        return ""
    found = _MODULES.findall(parts[2].text)
    return found[-2] if len(found) > 1 else ""


@dataclass(slots=True)
class Walk:
    reader: Reader
    places: dict[str, Place] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)  # string tensors
    nodes: list[Node] = field(default_factory=list)
    operators: Counter[str] = field(default_factory=Counter)
    functions: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    inputs: list[Field] = field(default_factory=list)  # of the main graph
    outputs: list[Field] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)  # name and doc string of the main graph
    main: Scope = field(default_factory=Scope)
    graphs: int = 0
    reach: int = 0  # the end of the graph, as the file says it
    again: dict[str, int] = field(default_factory=dict)  # names that were met before, and the last number given

    def model(self, parts: Iterable[Field]) -> Iterator[Field]:
        """Walk the graphs; the other fields of the model are handed out."""
        for part in parts:
            if part.number == GRAPH:
                self.graph(part, self.main, ())
            elif part.number == FUNCTION:
                self._function(part)
            elif part.number == TRAINING:
                for inner in part.fields():
                    if inner.number in (1, 2):
                        kind = ("initialization", "algorithm")[inner.number - 1]
                        self.graph(inner, Scope(f"training.{kind}.", self.main), (part,))
            else:
                yield part

    def graph(self, whole: Field, scope: Scope, around: tuple[Field, ...]) -> None:
        self.reader.limits.check("depth", len(around), "nesting of graphs", offset=whole.at)
        around = (*around, whole)
        outermost = scope is self.main
        self.graphs += 1
        self.reach = max(self.reach, whole.at + whole.length)
        for part in whole.fields():
            number = part.number
            if number == NODE:
                self._node(part, scope, around)
            elif number == INITIALIZER:
                proto = parse(part)
                self._tensor(part, proto, proto.name, scope, around, initializer=True)
            elif number == SPARSE:
                self._sparse(part, "", scope, around)
            elif outermost and number in (INPUT, OUTPUT):
                (self.inputs if number == INPUT else self.outputs).append(part)
            elif outermost and number in (GRAPH_NAME, GRAPH_DOC):
                self.about["name" if number == GRAPH_NAME else "doc_string"] = part.text

    def _function(self, whole: Field) -> None:
        nodes, names = [], {1: "", _FUNCTION_DOMAIN: "", _OVERLOAD: ""}
        for part in whole.fields():
            if part.number == _FUNCTION_NODE:
                nodes.append(part)
            elif part.number in names:
                names[part.number] = part.text
        name = f"{names[_FUNCTION_DOMAIN]}::{names[1]}" + f":{names[_OVERLOAD]}" * bool(names[_OVERLOAD])
        self.functions.append(name)
        scope = Scope(name + ".")
        for node in nodes:
            self._node(node, scope, (whole,))

    def _node(self, whole: Field, scope: Scope, around: tuple[Field, ...]) -> None:
        node = Node(scope, "", "", "", [], [])
        attributes = []
        for part in whole.fields():
            number = part.number
            if number == _INPUT:
                node.inputs.append(part.text)
            elif number == _OUTPUT:
                node.outputs.append(part.text)
            elif number == _ATTRIBUTE:
                attributes.append(part)
            elif number == _OPERATOR:
                node.operator = part.text
            elif number == _NAME:
                node.name = part.text
            elif number == _DOMAIN:
                node.domain = part.text
            elif number == _NODE_PROPERTY:
                node.module = _module(part) or node.module
        standard = node.domain in ("", "ai.onnx")
        self.operators[node.operator if standard else f"{node.domain}.{node.operator}"] += 1
        around = (*around, whole)
        for part in attributes:
            self._attribute(part, node, around)
        self.nodes.append(node)

    def _attribute(self, whole: Field, node: Node, around: tuple[Field, ...]) -> None:
        name, nested = "", list[Field]()
        value: int | memoryview | None = None
        numbers: list[int] = []
        for part in whole.fields():
            number = part.number
            if number == 1:
                name = part.text
            elif number == 3:
                value = part.signed
            elif number == 4:
                value = part.bytes
            elif number == 8:
                numbers += [part.signed] if part.wire == VARINT else varints(part.bytes, part.at)
            elif number in (_ONE_TENSOR, _ONE_GRAPH, _TENSORS, _GRAPHS, _ONE_SPARSE, _SPARSES):
                nested.append(part)
        if value is not None or numbers:
            node.attributes[name] = value if value is not None else numbers
        if nested:
            self._nested(nested, name, node, (*around, whole))

    def _nested(self, parts: list[Field], name: str, node: Node, around: tuple[Field, ...]) -> None:
        """Tensors and graphs in an attribute. The tensor of a Constant node has the name of the node's value."""
        scope = node.scope
        owner = node.name or next(filter(None, node.outputs), "") or f"{node.operator}_{len(self.nodes)}"
        if node.operator == "Constant" and node.outputs and len(parts) == 1:
            label = node.outputs[0]
        else:
            label = f"{owner}.{name}"
        for index, part in enumerate(parts):
            inner = label if len(parts) == 1 else f"{label}.{index}"
            if part.number in (_ONE_TENSOR, _TENSORS):
                self._tensor(part, parse(part), inner, scope, around)
            elif part.number in (_ONE_SPARSE, _SPARSES):
                self._sparse(part, inner, scope, around)
            else:
                self.graph(part, Scope(f"{scope.prefix}{inner}.", scope), around)

    def _sparse(self, whole: Field, name: str, scope: Scope, around: tuple[Field, ...]) -> None:
        """Values and indices as two tensors, marked with the shape they stand for."""
        dims: list[int] = []
        parts = {}
        for part in whole.fields():
            if part.number == 3:
                dims += [part.signed] if part.wire == VARINT else map(int, varints(part.bytes, part.at))
            elif part.number in (1, 2):
                parts["values" if part.number == 1 else "indices"] = (part, parse(part))
        if not name and "values" in parts:
            name = parts["values"][1].name
        for role, (part, proto) in parts.items():
            extra = {"onnx:sparse": role, "onnx:dense-shape": tuple(dims)}
            self._tensor(part, proto, f"{name}.{role}", scope, (*around, whole), extra=extra, visible=False)

    def _tensor(
        self, span: Field, proto: Proto, name: str, scope: Scope, around: tuple[Field, ...], *,
        initializer: bool = False, extra: dict[str, Any] | None = None, visible: bool = True,
    ) -> None:  # fmt: skip
        if initializer and not name and self.reader.damaged:
            raise DamagedFileError("a tensor is cut off before its name", offset=span.at)
        full = scope.prefix + name
        if full in self.places or full in self.texts:
            full = self._numbered(full)
        limits = self.reader.limits
        if len(full) > limits.name or len(self.places) >= limits.tensors:
            limits.check("name", len(full), "the name of a tensor", offset=span.at)
            limits.check("tensors", len(self.places) + 1, "tensors", offset=span.at)
        if proto.is_text:
            self.texts[full] = [part.text for part in proto.data]
            return
        try:
            tensor = self.reader.tensor(full, proto, extra or EMPTY)
        except ModelFileError as error:  # `located` costs too much 100,000 times
            error.tensor = full
            raise
        self.places[full] = Place(tensor, span, around, initializer)
        if visible:
            scope.values[name] = Ref(full)

    @property
    def outside(self) -> set[int]:
        """Numbers of the files beside that hold tensors."""
        data = (place.tensor.data for place in self.places.values())
        numbers = {extent.file for d in data if isinstance(d, Stored) for extent in d.extents}
        return numbers - {self.reader.number}

    def unmade(self) -> list[str]:
        """Values that nodes take and that nothing in sight makes: inputs of the graph, and what was not read."""
        made = {value for node in self.nodes for value in node.outputs}
        taken = {v: None for node in self.nodes for v in node.inputs if v not in made and not node.scope.find(v)}
        return [value for value in taken if value]

    def _numbered(self, name: str) -> str:
        """Another name for a tensor whose own is taken."""
        if not self.again:
            text = f"more than one tensor is called {printable(name, code=True)}: the others got a number"
            self.notes.append(Note("duplicate-name", text, "warning"))
        while True:
            number = self.again[name] = self.again.get(name, 1) + 1
            if f"{name}#{number}" not in self.places:
                return f"{name}#{number}"
