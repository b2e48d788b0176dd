"""TensorFlow's graphs: nodes with operators and inputs, functions, signatures. Large constants stay in the file.

Source: tensorflow/core/framework (graph, node_def, attr_value, function) and protobuf/meta_graph, field numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from modelglot.containers.protobuf import Field
from modelglot.containers.tensorflow.dtypes import kind
from modelglot.core.errors import InvalidFileError
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.limits import Limits

_NO_RESULT = ("Const", "Placeholder", "PlaceholderWithDefault", "NoOp", "Assert")
_OTHER = ("gradients/", "save/", "init")  # of the training program, not of the model
_MANY = 16  # ends of a graph beyond which nobody means them as its outputs


class GraphNode(NamedTuple):
    """``inputs`` as stored: ``name``, ``name:1`` or ``^control``; ``attributes`` are ``AttrValue`` messages."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Field]

    def flag(self, name: str) -> bool:
        """A boolean attribute; False where it is not there."""
        found = self._part(name, 5)
        return found is not None and bool(found.number_value)

    def type(self, name: str = "dtype") -> int:
        """A type attribute; 0 where it is not there."""
        found = self._part(name, 6)
        return found.number_value if found is not None else 0

    def text(self, name: str) -> str:
        found = self._part(name, 2)
        return found.text if found is not None else ""

    def tensor(self, name: str = "value") -> Field | None:
        return self._part(name, 8)

    def shape(self, name: str = "shape") -> tuple[int | str | None, ...] | None:
        """None where the rank is unknown; axes of unknown size are None."""
        found = self._part(name, 7)
        return axes_of(found) if found is not None else None

    def _part(self, name: str, number: int) -> Field | None:
        value = self.attributes.get(name)
        return next((f for f in value.fields() if f.number == number), None) if value is not None else None


@dataclass
class GraphDef:
    """``nodes`` of the graph itself, ``functions`` by name with their nodes, ``arguments`` of each in order."""

    nodes: list[GraphNode] = field(default_factory=list)
    functions: dict[str, list[GraphNode]] = field(default_factory=dict)
    arguments: dict[str, list[str]] = field(default_factory=dict)


def read_graph(message: Iterable[Field], limits: Limits) -> GraphDef:
    """A ``GraphDef``. Raises InvalidFileError for two nodes of one name."""
    graph, count = GraphDef(), 0
    for part in message:
        if part.number == 1:
            graph.nodes.append(_node(part))
            count += 1
        elif part.number == 2:
            for function in part.fields():
                if function.number == 1:
                    name, arguments, nodes = _function(function)
                    graph.functions[name], graph.arguments[name] = nodes, arguments
                    count += len(nodes)
                    limits.check("tree_values", count, "nodes of the graph")
        limits.check("tree_values", count, "nodes of the graph")
    names = {n.name for n in graph.nodes}
    if len(names) != len(graph.nodes):
        raise InvalidFileError("two nodes of the graph have one name")
    return graph


def _node(message: Field) -> GraphNode:
    name = op = ""
    inputs: list[str] = []
    attributes: dict[str, Field] = {}
    for part in message.fields():
        if part.number == 1:
            name = part.text
        elif part.number == 2:
            op = part.text
        elif part.number == 3:
            inputs.append(part.text)
        elif part.number == 5:
            key, value = map_entry(part)
            if value is not None:
                attributes[key] = value
    return GraphNode(name, op, tuple(inputs), attributes)


def _function(message: Field) -> tuple[str, list[str], list[GraphNode]]:
    name, arguments, nodes = "", list[str](), []
    for part in message.fields():
        if part.number == 1:
            for f in part.fields():
                if f.number == 1:
                    name = f.text
                elif f.number == 2:
                    arguments.append(next((a.text for a in f.fields() if a.number == 1), ""))
        elif part.number == 3:
            nodes.append(_node(part))
    return name, arguments, nodes


def map_entry(message: Field) -> tuple[str, Field | None]:
    """Key and value of an entry of a ``map<string, ...>``."""
    key, value = "", None
    for part in message.fields():
        if part.number == 1:
            key = part.text
        elif part.number == 2:
            value = part
    return key, value


def axes_of(shape: Field) -> tuple[int | str | None, ...] | None:
    """``TensorShapeProto`` of a port."""
    axes: list[int | str | None] = []
    for part in shape.fields():
        if part.number == 3 and part.number_value:
            return None
        if part.number == 2:
            size = next((f.signed for f in part.fields() if f.number == 1), 0)
            axes.append(None if size < 0 else size)
    return tuple(axes)


def signature(name: str, message: Field) -> Signature:
    """``SignatureDef``."""
    ports: dict[int, list[Port]] = {1: [], 2: []}
    for part in message.fields():
        if part.number in ports:
            key, info = map_entry(part)
            ports[part.number].append(_port(key, info))
    return Signature(name, *(tuple(sorted(ports[n])) for n in (1, 2)))


def _port(name: str, info: Field | None) -> Port:
    number, shape = 0, None
    for part in info.fields() if info is not None else ():
        if part.number == 2:
            number = part.number_value
        elif part.number == 3:
            shape = axes_of(part)
    return Port(name, word_of(number), shape)


def word_of(number: int) -> str:
    """Our name of a type, or TensorFlow's where we have none."""
    found = kind(number)
    return found.dtype.name if found.dtype is not None else found.word


def summary(graph: GraphDef, signatures: Iterable[Signature] = ()) -> Graph:
    """Ports, operators and functions; without signatures, what is fed in and what nobody uses."""
    operators: dict[str, int] = {}
    for nodes in (graph.nodes, *graph.functions.values()):
        for node in nodes:
            operators[node.op] = operators.get(node.op, 0) + 1
    made = tuple(signatures) or tuple(_implied(graph))
    return Graph("TensorFlow", made, counted(operators), tuple(graph.functions))


def _implied(graph: GraphDef) -> Iterator[Signature]:
    inputs = tuple(Port(n.name, word_of(n.type()), n.shape()) for n in graph.nodes if n.op.startswith("Placeholder"))
    used = {source_of(i) for n in graph.nodes for i in n.inputs}
    ends = [n for n in graph.nodes if n.name not in used and n.op not in _NO_RESULT and not n.name.startswith(_OTHER)]
    outputs = tuple(Port(n.name, word_of(n.type("T")), None) for n in ends)
    if inputs or outputs:
        yield Signature("main", inputs, outputs if len(outputs) <= _MANY else ())


def source_of(name: str) -> str:
    """The node that an input comes from: ``^a``, ``a:1`` and, in functions, ``a:out:0`` are of ``a``."""
    return name.removeprefix("^").split(":")[0]


@dataclass
class MetaGraph:
    """A graph with what TensorFlow keeps around it; ``version`` is of the TensorFlow that wrote it."""

    graph: GraphDef = field(default_factory=GraphDef)
    signatures: list[Signature] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    version: str = ""
    collections: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    objects: Field | None = None


def read_meta_graph(message: Iterable[Field], limits: Limits) -> MetaGraph:
    """A ``MetaGraphDef``."""
    made = MetaGraph()
    for part in message:
        if part.number == 1:
            for f in part.fields():
                if f.number == 4:
                    made.tags.append(f.text)
                elif f.number == 5:
                    made.version = f.text
        elif part.number == 2:
            made.graph = read_graph(part.fields(), limits)
        elif part.number == 4:
            made.collections.append(map_entry(part)[0])
        elif part.number == 5:
            name, value = map_entry(part)
            if value is not None and not name.startswith("__saved_model"):  # TensorFlow's own, for starting up
                made.signatures.append(signature(name, value))
        elif part.number == 6:
            made.assets += [f.text for f in part.fields() if f.number == 2]
        elif part.number == 7:
            made.objects = part
    made.signatures.sort(key=lambda s: s.name)
    return made
