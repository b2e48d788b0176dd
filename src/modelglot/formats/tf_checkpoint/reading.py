"""A checkpoint read: tensors under their names or object paths, the optimizer's apart, small texts as metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelglot.containers.protobuf_file import message
from modelglot.containers.tensorflow.bundle import read_bundle
from modelglot.containers.tensorflow.graph import read_meta_graph, summary
from modelglot.containers.tensorflow.hazards import findings
from modelglot.containers.tensorflow.layers import layers
from modelglot.containers.tensorflow.naming import named, texts
from modelglot.containers.tensorflow.prefix import INDEX, META, find
from modelglot.core.errors import ModelFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note


def read(files: FileSet, limits: Limits, *, damaged: bool = False) -> Model:
    where = find(files, limits)
    bundle = read_bundle(files, where.prefix, limits, damaged=damaged)
    graph, said, notes = _meta(files, where.prefix + META, bundle.tensors, limits)
    found = named(bundle, files.open(where.prefix + INDEX).path, limits, said)
    return Model(
        "tf-checkpoint",
        files.refs(),
        found.tensors,
        found.dialect,
        texts(bundle),
        found.tree,
        notes=(*where.notes, *bundle.notes, *notes),
        graph=graph,
    )


_Meta = tuple[Graph | None, dict[str, dict[str, Any]], list[Note]]


def _meta(files: FileSet, name: str, keys: Iterable[str], limits: Limits) -> _Meta:
    """The graph beside the data, and what it says of the layer of each variable. A damaged one is only noted."""
    if name not in files.names():
        return None, {}, []
    source = files.open(name)
    files.index(name, "side")
    try:
        meta = read_meta_graph(message(source, limits), limits)
    except ModelFileError as error:
        return None, {}, [Note("bad-graph", f"{printable(name, code=True)}: {error.what}", "warning")]
    return summary(meta.graph, meta.signatures), layers(meta.graph.nodes, keys), []


def hazards(files: FileSet, limits: Limits) -> Iterator[Finding]:
    """Of the graph beside the data, where there is one; tensors run nothing."""
    name = find(files, limits).prefix + META
    if name in files.names():
        source = files.open(name)
        with located(path=source.path):
            yield from findings(read_meta_graph(message(source, limits), limits).graph, source.path)
