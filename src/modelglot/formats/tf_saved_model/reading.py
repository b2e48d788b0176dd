"""A SavedModel read: its graph in summary, its variables under their names, the layers they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_file import message
from modelglot.containers.tensorflow.bundle import Bundle, read_bundle
from modelglot.containers.tensorflow.constants import constants
from modelglot.containers.tensorflow.graph import MetaGraph, read_meta_graph, summary
from modelglot.containers.tensorflow.hazards import findings
from modelglot.containers.tensorflow.layers import layers
from modelglot.containers.tensorflow.naming import named, texts
from modelglot.containers.tensorflow.prefix import INDEX
from modelglot.containers.tensorflow.saved_objects import add_metadata, layers_of, saved_objects, used_by_functions
from modelglot.core.errors import InvalidFileError, ModelFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note

GRAPH, PREFIX = "saved_model.pb", "variables/variables"
KERAS, FINGERPRINT = "keras_metadata.pb", "fingerprint.pb"
_HASHES = {1: "saved_model_checksum", 2: "graph_def_program_hash", 3: "signature_def_hash",
           4: "saved_object_graph_hash", 5: "checkpoint_hash"}  # fmt: skip


def read(files: FileSet, limits: Limits, *, damaged: bool = False) -> Model:
    name = files.primary or GRAPH
    there = files.names(2)
    source, number = files.open(name), files.index(name)
    notes: list[Note] = []
    with located(path=source.path):
        meta, others = _meta_graph(message(source, limits), limits)
    if others:
        notes.append(Note("other-graphs", f"the file also holds graphs for {', '.join(map(printable, others))}"))
    said: Mapping[str, Any] = {}
    if PREFIX + INDEX in there:
        bundle = read_bundle(files, PREFIX, limits, damaged=damaged)
        with located(path=source.path):
            said = _layers(files, meta, bundle, there, limits)
        found = named(bundle, files.open(PREFIX + INDEX).path, limits, said)
        tensors, tree, dialect, metadata = found.tensors, found.tree, found.dialect, texts(bundle)
        notes += bundle.notes
    else:
        notes.append(Note("no-variables", "there is no `variables/`: the constants of the graph are shown"))
        with located(path=source.path):
            tensors, metadata = constants(meta.graph, number, limits)
        tree, dialect = None, "constants"
    about = _about(files, meta, there)
    return Model(
        "tf-saved-model",
        files.refs(),
        tensors,
        dialect,
        Metadata({**about, **dict(metadata.entries())}),
        tree,
        notes=tuple(notes),
        graph=replace(summary(meta.graph, meta.signatures), about=frozenset(about)),
    )


def _meta_graph(fields: Iterator[Field], limits: Limits) -> tuple[MetaGraph, list[str]]:
    """The graph for serving, or the first; the tags of the others."""
    found = []
    for field in fields:
        if field.number == 1 and field.number_value != 1:
            raise InvalidFileError(f"a SavedModel of version {field.number_value}; 1 is known")
        if field.number == 2:
            found.append(read_meta_graph(field.fields(), limits))
    if not found:
        raise InvalidFileError("the SavedModel holds no graph")
    chosen = next((m for m in found if "serve" in m.tags), found[0])
    return chosen, [" + ".join(m.tags) or "no use that is said" for m in found if m is not chosen]


def _layers(
    files: FileSet, meta: MetaGraph, bundle: Bundle, there: tuple[str, ...] | Any, limits: Limits
) -> Mapping[str, Any]:
    """What Keras' objects say, else the operators that use each variable."""
    if bundle.object_graph is None:
        return layers(meta.graph.nodes, bundle.tensors)
    objects = saved_objects(meta.objects, limits)
    if KERAS in there:
        source = files.open(KERAS)
        files.index(KERAS, "side")
        with located(path=source.path):
            add_metadata(objects, message(source, limits))
    told = used_by_functions(meta.objects, objects, meta.graph, bundle.tensors)
    return {**told, **layers_of(objects, bundle.tensors)}


def _about(files: FileSet, meta: MetaGraph, there: Any) -> dict[str, Entry | str]:
    """The version that wrote it, what it is for, and its fingerprint."""
    entries: dict[str, Entry | str] = {}
    if meta.version:
        entries["tensorflow_version"] = meta.version
    if meta.tags:
        entries["tags"] = Entry(list(meta.tags), "array[str]")
    if FINGERPRINT in there:
        source = files.open(FINGERPRINT)
        files.index(FINGERPRINT, "side")
        with located(path=source.path):
            try:
                hashes = {f.number: f.number_value for f in message(source, Limits()) if f.number in _HASHES}
            except ModelFileError:  # it is a help to find a model again, and nothing depends on it
                hashes = {}
        entries |= {f"fingerprint.{_HASHES[n]}": Entry(v, "u64") for n, v in hashes.items()}
    return entries


def hazards(files: FileSet, limits: Limits) -> Iterator[Finding]:
    source = files.open(files.primary or GRAPH)
    with located(path=source.path):
        for field in message(source, limits):
            if field.number == 2:
                yield from findings(read_meta_graph(field.fields(), limits).graph, source.path)
