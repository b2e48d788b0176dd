"""A checkpoint read: tensors under their names or object paths, the optimizer's apart, small texts as metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelglot.containers.protobuf_file import message
from modelglot.containers.tensorflow.bundle import GRAPH, TEXT, Bundle, read_bundle
from modelglot.containers.tensorflow.graph import read_meta_graph, summary
from modelglot.containers.tensorflow.layers import layers
from modelglot.containers.tensorflow.object_graph import COUNTER, name_of, parse, parts_of
from modelglot.containers.tensorflow.prefix import INDEX, META, find
from modelglot.core.errors import ModelFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef

# What TensorFlow 1 optimizers call the variables they keep beside each of the model's.
_SLOT = re.compile(
    r"^(?P<variable>.+)/(Adam|Adam_1|AdamW|AdamW_1|Momentum|RMSProp|RMSProp_1|RMSProp_2|Adagrad|AdagradDA|Adadelta|"
    r"Adadelta_1|Ftrl|Ftrl_1|AMSGrad|AMSGrad_1|AMSGrad_2|LAMB|LAMB_1|adam_m|adam_v)$"
)
_AVERAGE = re.compile(r"^(?P<variable>.+)/ExponentialMovingAverage$")
_POWERS = re.compile(r"^(.+/)?beta[12]_power(_\d+)?$")


def read(files: FileSet, limits: Limits) -> Model:
    where = find(files, limits)
    bundle = read_bundle(files, where.prefix, limits)
    dialect = "name-based"
    names = {key: key for key in bundle.tensors}
    optimizer = _name_based_slots(bundle.tensors)
    if bundle.object_graph is not None:
        dialect = "object-based"
        with located(path=files.open(where.prefix + INDEX).path, tensor=GRAPH):
            parts = parts_of(parse(bundle.object_graph, limits))
        optimizer = parts.optimizer & bundle.tensors.keys()
        names = _object_names(bundle.tensors, parts.names)
    graph, said, notes = _meta(files, where.prefix + META, bundle.tensors, limits)
    tensors = {names[key]: _called(tensor, names[key], said.get(key)) for key, tensor in bundle.tensors.items()}
    return Model(
        "tf-checkpoint",
        files.refs(),
        tensors,
        dialect,
        _metadata(bundle),
        _tree(tensors, {names[k] for k in optimizer}, bundle.object_graph is not None),
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


def _object_names(keys: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Object paths where they are unique, whole keys elsewhere."""
    paths: dict[str, list[str]] = {}
    for key in keys:
        paths.setdefault(known.get(key) or name_of(key), []).append(key)
    return {key: path if len(same) == 1 else key for path, same in paths.items() for key in same}


def _called(tensor: Tensor, name: str, layer: Mapping[str, Any] | None) -> Tensor:
    """Under its name here, with the key and the layer among its extras."""
    key = {"tf:key": tensor.name} if tensor.name != name else {}
    return replace(tensor, name=name, extra={**tensor.extra, **key, **(layer or {})}) if key or layer else tensor


def _name_based_slots(tensors: Mapping[str, Tensor]) -> set[str]:
    """Variables that an optimizer named after one of the model's, of the same shape; and its powers of beta."""
    found = set()
    for name, tensor in tensors.items():
        m = _SLOT.match(name)
        of = tensors.get(m["variable"]) if m else None
        if of is not None and of.shape == tensor.shape:
            found.add(name)
    if found:
        found |= {n for n, t in tensors.items() if _POWERS.match(n) and not t.shape}
    return found


def _tree(tensors: Mapping[str, Tensor], optimizer: set[str], objects: bool) -> Node | None:
    """Model, moving averages, optimizer and the count of saves apart; None where there is only a model."""
    parts: dict[str, list[tuple[str, TensorRef]]] = {"model": [], "ema": [], "optimizer": [], "counters": []}
    for name in tensors:
        average = _AVERAGE.match(name)
        if name in optimizer:
            parts["optimizer"].append((name, TensorRef(name)))
        elif average is not None and average["variable"] in tensors:
            parts["ema"].append((average["variable"], TensorRef(name)))
        else:
            parts["counters" if objects and name == COUNTER else "model"].append((name, TensorRef(name)))
    kept = [(part, Node("dict", list(items))) for part, items in parts.items() if items]
    return Node("parts", kept) if len(kept) > 1 and parts["model"] else None


def _metadata(bundle: Bundle) -> Metadata:
    """Small string tensors, as text where they are."""
    entries: dict[str, Entry | str] = {}
    for key, (shape, texts) in bundle.texts.items():
        values = [t.decode("utf-8", "surrogateescape") for t in texts]
        entries[TEXT + key] = Entry(values[0]) if not shape else Entry(values, "array[str]")
    return Metadata(entries)
