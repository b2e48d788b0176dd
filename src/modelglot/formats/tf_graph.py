"""A TensorFlow graph in one file (``GraphDef``, ``.pb``): frozen ones hold their weights as constants.

Specification: TensorFlow's graph.proto, node_def.proto, tensor.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.containers.protobuf import field_head
from modelglot.containers.protobuf_file import message
from modelglot.containers.tensorflow.constants import constants
from modelglot.containers.tensorflow.graph import read_graph, summary
from modelglot.containers.tensorflow.hazards import findings
from modelglot.containers.tensorflow.layers import layers
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError, located
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import KIB, Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Tensor

_VARIABLES = ("VariableV2", "Variable", "VarHandleOp")
_SMALL = 64 * KIB


class TfGraph(ReadOnly):
    info = FormatInfo(
        name="tf-graph",
        title="TensorFlow graph",
        suffixes=(".pb",),
        spec="https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/framework/graph.proto",
        can=frozenset({"read"}),
        framework="tf",
        blurb="a frozen graph, its weights constants in it; read, counted, never run",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder or not _begins_with_a_node(probe.head):
            return None
        return Match(94, "a protocol buffer that begins with a node of a graph")

    def read(self, files: FileSet, limits: Limits) -> Model:
        source, number = _source(files)
        with located(path=source.path):
            graph = read_graph(message(source, limits), limits)
            if not graph.nodes and not graph.functions:
                raise InvalidFileError("the graph has no nodes")
            tensors, texts = constants(graph, number, limits)
            said = layers(graph.nodes, tensors)
            tensors = {n: _with(t, said.get(n)) for n, t in tensors.items()}
        variables = sum(n.op in _VARIABLES for n in graph.nodes)
        notes = []
        if variables:
            text = f"{variables:,} variables of the graph have no values in this file: it is not frozen"
            notes.append(Note("graph-without-weights", text, "warning"))
        return Model(
            self.info.name,
            files.refs(),
            tensors,
            None if variables else "frozen",
            texts,
            notes=tuple(notes),
            graph=summary(graph),
        )

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        source, _ = _source(files)
        with located(path=source.path):
            yield from findings(read_graph(message(source, limits), limits), source.path)


def _source(files: FileSet) -> Any:
    if files.primary is None:
        raise UnsupportedError("a folder is no graph", path=files.root, hint="name the .pb file")
    return files.open(files.primary), files.index(files.primary)


def _begins_with_a_node(head: bytes) -> bool:
    """A node, which begins with its name, followed by its operator: a word that starts with a capital."""
    view, at = memoryview(head), 0
    try:
        for wanted in (1, 1, 2):
            if at >= len(view):
                return False
            number, wire, length, at = field_head(view, at, 0)
            if (number, wire) != (wanted, 2) or (wanted == 2 and not 0 < length < 200):
                return False
            if wanted == 1 and head[at : at + 1] != b"\x0a":  # the name, not yet the node
                at += length
        word = head[at : at + length]
    except ModelFileError:
        return False
    return word.isascii() and word[:1].isalpha() and word.replace(b"_", b"").replace(b">", b"").isalnum()


def _with(tensor: Tensor, layer: dict[str, Any] | None) -> Tensor:
    from dataclasses import replace

    return replace(tensor, extra={**tensor.extra, **layer}) if layer else tensor


FORMAT = TfGraph()
