"""The constants of a graph as tensors, read where they lie; text as metadata."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.tensorflow.bundle import TEXT
from modelglot.containers.tensorflow.graph import GraphDef, GraphNode
from modelglot.containers.tensorflow.tensor_proto import read_value
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.limits import KIB, Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.tensor import Extent, Stored, Tensor

_SMALL = 64 * KIB


def constants(graph: GraphDef, file: int, limits: Limits) -> tuple[dict[str, Tensor], Metadata]:
    """Every constant by its node's name, those of functions after the function's; text as metadata."""
    tensors: dict[str, Tensor] = {}
    texts: dict[str, Entry | str] = {}

    def place(at: int, length: int) -> Stored:
        return Stored((Extent(file, at, length),))

    for name, node in _named(graph):
        value = node.tensor() if node.op == "Const" else None
        if value is None:
            continue
        with located(tensor=name):
            limits.check("name", len(name), "the constant's name")
            found = read_value(name, value.fields(), place, limits)
        if found.tensor is not None:
            tensors[name] = found.tensor
            limits.check("tensors", len(tensors), "constants of the graph")
        elif sum(map(len, found.texts)) <= _SMALL:
            lines = [t.decode("utf-8", "surrogateescape") for t in found.texts]
            texts[TEXT + name] = Entry(lines, "array[str]") if found.shape else Entry("".join(lines[:1]))
    return tensors, Metadata(texts)


def _named(graph: GraphDef) -> Iterator[tuple[str, GraphNode]]:
    for node in graph.nodes:
        yield node.name, node
    seen = {n.name for n in graph.nodes}
    for function, nodes in graph.functions.items():
        for node in nodes:
            name = f"{function}/{node.name}"
            if name in seen:
                raise InvalidFileError(f"two nodes are called {printable(name, code=True)}")
            seen.add(name)
            yield name, node
