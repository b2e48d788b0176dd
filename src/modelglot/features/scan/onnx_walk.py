"""Every node and every tensor of an ONNX file: of graphs, subgraphs, attributes, functions, training graphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelglot.containers.protobuf import Field
from modelglot.containers.protobuf_file import message
from modelglot.core.errors import LimitError
from modelglot.core.format import Source
from modelglot.core.limits import Limits

_MODEL = {7: "graph", 25: "function", 20: "training"}
_INSIDE = {
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


class Part(NamedTuple):
    """``kind`` is node, tensor or function."""

    kind: str
    field: Field


def parts(source: Source, limits: Limits) -> Iterator[Part]:
    """Raises DamagedFileError, InvalidFileError, LimitError."""
    stack = [(iter([(_MODEL[f.number], f)]), 0) for f in message(source, limits) if f.number in _MODEL][::-1]
    count = 0
    while stack:
        following, depth = stack[-1]
        found = next(following, None)
        if found is None:
            stack.pop()
            continue
        kind, field = found
        count += 1
        limits.check("tree_values", count, "parts of the graph")
        if depth > limits.depth * 4:
            raise LimitError("graphs are nested too deep", offset=field.at)
        if kind in ("node", "tensor", "function"):
            yield Part(kind, field)
        if kind in _INSIDE:
            stack.append((_inside(kind, field), depth + 1))


def _inside(kind: str, field: Field) -> Iterator[tuple[str, Field]]:
    kinds = _INSIDE[kind]
    return ((kinds[part.number], part) for part in field.fields() if part.number in kinds)


def texts(field: Field, *numbers: int) -> list[str]:
    """Texts of those fields of a message, in the order of ``numbers``; "" where there is none."""
    found = {f.number: f.text for f in field.fields() if f.number in numbers}
    return [found.get(number, "") for number in numbers]


def entries(field: Field, number: int) -> Iterator[tuple[str, str]]:
    """(key, value) of the ``StringStringEntryProto`` fields of that number."""
    for part in field.fields():
        if part.number == number:
            key, value = texts(part, 1, 2)
            yield key, value
