"""Inputs and outputs of a graph: ``ValueInfoProto``."""

from __future__ import annotations

from modelglot.containers.protobuf import Field
from modelglot.core.graph import Port
from modelglot.core.limits import Limits
from modelglot.formats.onnx.types import word

_TENSOR, _SEQUENCE, _MAP, _OPAQUE, _SPARSE, _OPTIONAL = 1, 4, 5, 7, 8, 9  # fields of TypeProto
_AROUND = {_SEQUENCE: "sequence", _OPTIONAL: "optional"}


def port(info: Field, limits: Limits) -> Port:
    name, kind, shape = "", "unknown", None
    for part in info.fields():
        if part.number == 1:
            name = part.text
        elif part.number == 2:
            kind, shape = _type(part, limits, 0)
    return Port(name, kind, shape)


def port_name(info: Field) -> str:
    return next((part.text for part in info.fields() if part.number == 1), "")


def _type(whole: Field, limits: Limits, depth: int) -> tuple[str, tuple[int | str | None, ...] | None]:
    limits.check("depth", depth, "nesting of types", offset=whole.at)
    for part in whole.fields():
        if part.number in (_TENSOR, _SPARSE):
            kind, shape = _tensor(part)
            return (f"sparse({kind})" if part.number == _SPARSE else kind), shape
        if part.number in _AROUND:
            inner = next((_type(i, limits, depth + 1) for i in part.fields() if i.number == 1), ("unknown", None))
            return f"{_AROUND[part.number]}({inner[0]})", inner[1]
        if part.number == _MAP:
            items = {i.number: i for i in part.fields() if i.number in (1, 2)}
            key = word(items[1].number_value) if 1 in items else "unknown"
            value = _type(items[2], limits, depth + 1)[0] if 2 in items else "unknown"
            return f"map({key}, {value})", None
        if part.number == _OPAQUE:
            return "opaque", None
    return "unknown", None


def _tensor(whole: Field) -> tuple[str, tuple[int | str | None, ...] | None]:
    kind, shape = "unknown", None
    for part in whole.fields():
        if part.number == 1:
            kind = word(part.number_value)
        elif part.number == 2:
            shape = tuple(_axis(axis) for axis in part.fields() if axis.number == 1)
    return kind, shape


def _axis(whole: Field) -> int | str | None:
    for part in whole.fields():
        if part.number == 1:
            return part.signed
        if part.number == 2:
            return part.text
    return None
