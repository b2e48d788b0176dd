"""The graph of Python objects in an object-based checkpoint: names of variables, and which belong to an optimizer.

Source: tensorflow/core/protobuf/trackable_object_graph.proto, field numbers only; `tf.train.Checkpoint`'s behaviour.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from modelglot.containers.protobuf import fields
from modelglot.containers.protobuf_write import delimited, varint
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits

ATTRIBUTES, VALUE, SLOT = "/.ATTRIBUTES/", "VARIABLE_VALUE", "/.OPTIMIZER_SLOT/"
COUNTER = "save_counter"
_OPTIMIZER = "optimizer"
_SUFFIX = ATTRIBUTES + VALUE


@dataclass
class Node:
    """``children`` by local name, ``keys`` of its values in the checkpoint, ``slots`` are (slot name, node)."""

    children: dict[str, int] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)


def parse(data: bytes, limits: Limits) -> list[Node]:
    """Nodes in order; the first is the root. Raises InvalidFileError for a reference to a node that is not there."""
    nodes: list[Node] = []
    for outer in fields(data):
        if outer.number != 1:
            continue
        node = Node()
        for item in fields(outer.bytes):
            if item.number == 1:
                parts = {f.number: f for f in fields(item.bytes)}
                name = parts[2].text if 2 in parts else ""
                node.children[name] = parts[1].number_value if 1 in parts else 0
            elif item.number == 2:
                node.keys += [f.text for f in fields(item.bytes) if f.number == 3]
            elif item.number == 3:
                node.slots += [next((f.number_value for f in fields(item.bytes) if f.number == 3), 0)]
        nodes.append(node)
        limits.check("tree_values", len(nodes), "objects in the checkpoint's graph")
    for node in nodes:
        for other in (*node.children.values(), *node.slots):
            if other >= len(nodes):
                raise InvalidFileError(f"the graph of objects names object {other:,} of {len(nodes):,}")
    return nodes


class Parts(NamedTuple):
    """``optimizer`` has the keys of what only an optimizer reaches; ``names`` those of the model whose key goes through
    the optimizer, with a path that does not."""

    optimizer: set[str]
    names: dict[str, str]


def parts_of(nodes: list[Node]) -> Parts:
    """An optimizer is an object that has slots or is called one. It holds the model's variables too, and where its path
    is the shorter one TensorFlow names them after it."""
    owners = {n for n, node in enumerate(nodes) if node.slots}
    owners |= {c for node in nodes for name, c in node.children.items() if _OPTIMIZER in name.lower()}
    slots = {s for node in nodes for s in node.slots}
    model = _paths(nodes, owners | slots)
    optimizer = {key for n, node in enumerate(nodes) if n not in model for key in node.keys}
    turned = {
        key: model[n]
        for n, node in enumerate(nodes)
        if model.get(n)
        for key in node.keys
        if key.endswith(_SUFFIX) and _OPTIMIZER in key.lower()
    }
    return Parts(optimizer, turned)


def _paths(nodes: list[Node], closed: set[int]) -> dict[int, str]:
    """The shortest path to each object, not through ``closed`` ones."""
    found, todo = {0: ""} if nodes else {}, deque([0] if nodes else [])
    while todo:
        number = todo.popleft()
        for name, child in nodes[number].children.items():
            if child not in found and child not in closed:
                found[child] = f"{found[number]}/{name}" if found[number] else name
                todo.append(child)
    return found


def name_of(key: str) -> str:
    """``model/dense/kernel`` for the key of that variable's value; other keys as they are."""
    if not key.endswith(_SUFFIX):
        return key
    return re.sub(r"\.(.)", lambda m: {"S": "/", ".": "."}.get(m[1], m[0]), key.removesuffix(_SUFFIX))


def key_of(name: str) -> str:
    """The key of a variable that is found by attributes named by the parts of ``name`` between slashes."""
    return SLOT.join("/".join(map(_escaped, piece.split("/"))) for piece in name.split(SLOT)) + _SUFFIX


def _escaped(part: str) -> str:
    return part.replace(".", "..")


class _Graph:
    """Objects made as names ask for them: children, slots as (variable, slot's name, slot)."""

    def __init__(self) -> None:
        self.children: list[dict[str, int]] = [{}]
        self.slots: dict[int, list[tuple[int, str, int]]] = {}

    def new(self) -> int:
        self.children.append({})
        return len(self.children) - 1

    def at(self, path: str) -> int:
        place = 0
        for part in path.split("/"):
            if part not in self.children[place]:
                self.children[place][part] = self.new()
            place = self.children[place][part]
        return place

    def object_of(self, name: str) -> int:
        """The object of a variable; a slot belongs to the optimizer that its name ends in."""
        variable, _, rest = name.partition(SLOT)
        optimizer, _, slot = rest.rpartition("/")
        if not optimizer:
            return self.at(name)
        made = self.new()
        self.slots.setdefault(self.at(optimizer), []).append((self.at(variable), slot, made))
        return made


def graph_of(names: Mapping[str, str]) -> bytes:
    """The serialised graph of objects for variables, name -> key: an object an inner part of a name."""
    graph = _Graph()
    keys = {graph.object_of(name): (name, key) for name, key in names.items()}
    made = bytearray()
    for number, children in enumerate(graph.children):
        body = bytearray()
        for part, child in children.items():
            body += delimited(1, b"\x08" + varint(child) + delimited(2, part.encode()))
        if number in keys:
            name, key = keys[number]
            said = delimited(1, VALUE.encode()) + delimited(2, name.encode()) + delimited(3, key.encode())
            body += delimited(2, said)
        for variable, slot, place in graph.slots.get(number, ()):
            said = b"\x08" + varint(variable) + delimited(2, slot.encode()) + b"\x18" + varint(place)
            body += delimited(3, said)
        made += delimited(1, bytes(body))
    return bytes(made)
