"""The tensors of a bundle under the names people know, and which of them are the optimizer's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from modelglot.containers.tensorflow.bundle import GRAPH, TEXT, Bundle
from modelglot.containers.tensorflow.object_graph import COUNTER, name_of, parse, parts_of
from modelglot.core.errors import located
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef

# What TensorFlow 1 optimizers call the variables they keep beside each of the model's.
_SLOT = re.compile(
    r"^(?P<variable>.+)/(Adam|Adam_1|AdamW|AdamW_1|Momentum|RMSProp|RMSProp_1|RMSProp_2|Adagrad|AdagradDA|Adadelta|"
    r"Adadelta_1|Ftrl|Ftrl_1|AMSGrad|AMSGrad_1|AMSGrad_2|LAMB|LAMB_1|adam_m|adam_v)$"
)
_COUNTERS = (COUNTER, "keras_api/metrics/")  # of saves; of what Keras measured while training
_AVERAGE = re.compile(r"^(?P<variable>.+)/ExponentialMovingAverage$")
_POWERS = re.compile(r"^(.+/)?beta[12]_power(_\d+)?$")


class Named(NamedTuple):
    """``dialect`` is name-based or object-based; ``keys`` has the key of each tensor's name."""

    tensors: dict[str, Tensor]
    dialect: str
    tree: Node | None
    keys: dict[str, str]


def named(bundle: Bundle, path: str, limits: Limits, said: Mapping[str, Mapping[str, Any]]) -> Named:
    """``said`` is what is known of the layer of each key; ``path`` is the index's, for errors."""
    dialect = "name-based"
    names = {key: key for key in bundle.tensors}
    optimizer = _name_based_slots(bundle.tensors)
    if bundle.object_graph is not None:
        dialect = "object-based"
        with located(path=path, tensor=GRAPH):
            parts = parts_of(parse(bundle.object_graph, limits))
        optimizer = parts.optimizer & bundle.tensors.keys()
        names = _object_names(bundle.tensors, parts.names)
    tensors = {names[key]: _called(tensor, names[key], said.get(key)) for key, tensor in bundle.tensors.items()}
    tree = _tree(tensors, {names[k] for k in optimizer}, bundle.object_graph is not None)
    return Named(tensors, dialect, tree, {name: key for key, name in names.items()})


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
    """Model, moving averages, optimizer and counters apart; None where there is only a model."""
    parts: dict[str, list[tuple[str, TensorRef]]] = {"model": [], "ema": [], "optimizer": [], "counters": []}
    for name in tensors:
        average = _AVERAGE.match(name)
        if name in optimizer:
            parts["optimizer"].append((name, TensorRef(name)))
        elif average is not None and average["variable"] in tensors:
            parts["ema"].append((average["variable"], TensorRef(name)))
        else:
            parts["counters" if objects and name.startswith(_COUNTERS) else "model"].append((name, TensorRef(name)))
    kept = [(part, Node("dict", list(items))) for part, items in parts.items() if items]
    return Node("parts", kept) if len(kept) > 1 and parts["model"] else None


def texts(bundle: Bundle) -> Metadata:
    """Small string tensors, as text where they are."""
    entries: dict[str, Entry | str] = {}
    for key, (shape, texts) in bundle.texts.items():
        values = [t.decode("utf-8", "surrogateescape") for t in texts]
        entries[TEXT + key] = Entry(values[0]) if not shape else Entry(values, "array[str]")
    return Metadata(entries)
