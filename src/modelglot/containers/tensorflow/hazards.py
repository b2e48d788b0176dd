"""Operators of a graph that reach outside it when it is run: files, Python functions, libraries."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.tensorflow.graph import GraphDef
from modelglot.core.errors import printable
from modelglot.core.notes import Finding

_OPERATORS = {
    "PyFunc": "calls a Python function of the process", "PyFuncStateless": "calls a Python function of the process",
    "EagerPyFunc": "calls a Python function of the process", "ReadFile": "reads a file",
    "WriteFile": "writes a file", "MatchingFiles": "lists files", "DeleteFile": "deletes a file",
    "PrintV2": "can write to a file", "DebugIdentity": "can send what passes to an address",
    "DebugIdentityV2": "can send what passes to a file", "Save": "writes a file", "ImmutableConst": "maps a file",
    "LMDBReader": "reads a file", "WholeFileReaderV2": "reads files", "TFRecordDataset": "reads files",
    "DecodeProtoV2": "reads a description of types from a file",
}  # fmt: skip


def findings(graph: GraphDef, path: str) -> Iterator[Finding]:
    """One a node, of the graph and its functions. `SaveV2` and `RestoreV2` are in every training graph and are not
    named: whoever runs them gives the path."""
    for nodes in (graph.nodes, *graph.functions.values()):
        for node in nodes:
            said = _OPERATORS.get(node.op)
            if said is not None:
                what = f"operator {printable(node.op, code=True)} at {printable(node.name, code=True)} {said}"
                yield Finding("tf-operator", "unsafe", what, path, hint="do not run this graph unless you trust it")
