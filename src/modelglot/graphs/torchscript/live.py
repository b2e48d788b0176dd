"""Nodes whose results somebody uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def live(nodes: Sequence[Any], outputs: Iterable[Any]) -> list[Any]:
    """The nodes that the outputs need, in order."""
    needed, kept = {id(v) for v in outputs}, list[Any]()
    for node in reversed(nodes):
        if any(id(o) in needed for o in node.outputs):
            kept.append(node)
            needed.update(id(v) for v in used(node))
    return kept[::-1]


def used(node: Any) -> Iterator[Any]:
    """Values that a node takes, those that its graphs see of their surroundings included."""
    yield from (v for v in node.inputs if v is not None)
    for attribute in node.attributes.values():
        if attribute.type.name == "GRAPH":
            for inner in attribute.value:
                yield from used(inner)
            yield from attribute.value.outputs
