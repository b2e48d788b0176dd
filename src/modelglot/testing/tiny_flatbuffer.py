"""Flatbuffers made by hand, for tests: tables as dictionaries by field number.

``{0: number(3, 4), 1: "text", 2: [{...}, {...}], 3: vector("i", 1, 2)}`` is a table; what it refers to follows it in
the file, as offsets point forward.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class Scalar(NamedTuple):
    data: bytes


class Vector(NamedTuple):
    elements: int
    data: bytes
    align: int = 4


def number(value: int, width: int = 4) -> Scalar:
    return Scalar((value & (1 << 8 * width) - 1).to_bytes(width, "little"))


def vector(code: str, *values: float) -> Vector:
    return Vector(len(values), struct.pack(f"<{len(values)}{code}", *values), max(4, struct.calcsize(f"<{code}")))


def data(raw: bytes) -> Vector:
    """A vector of bytes, aligned as buffers are."""
    return Vector(len(raw), raw, 16)


def build(root: dict[int, Any], mark: bytes = b"TFL3") -> bytes:
    out = bytearray(4) + mark
    place = _put(out, root)
    out[:4] = place.to_bytes(4, "little")
    return bytes(out)


def _put(out: bytearray, value: Any) -> int:
    """Append ``value`` and return where it begins."""
    if isinstance(value, dict):
        return _table(out, value)
    if isinstance(value, str):
        value = Vector(len(value.encode()), value.encode() + b"\0")
    if isinstance(value, Vector):
        out += bytes(-(len(out) + 4) % value.align)
        at = len(out)
        out += value.elements.to_bytes(4, "little") + value.data
        return at
    out += bytes(-len(out) % 4)
    at = len(out)
    out += len(value).to_bytes(4, "little") + bytes(4 * len(value))
    for index, item in enumerate(value):
        _refer(out, at + 4 + 4 * index, item)
    return at


def _table(out: bytearray, fields: dict[int, Any]) -> int:
    """The fields' places, then the table, then what it refers to."""
    most = max(fields, default=-1) + 1
    body = bytearray(4)
    places = [0] * most
    for field, value in sorted(fields.items()):
        raw = value.data if isinstance(value, Scalar) else bytes(4)
        body += bytes(-len(body) % max(len(raw), 1))
        places[field] = len(body)
        body += raw
    out += bytes(-len(out) % 8)
    head = struct.pack(f"<HH{most}H", 4 + 2 * most, len(body), *places)
    out += head + bytes(-len(head) % 8)
    at = len(out)
    body[:4] = struct.pack("<i", len(head) + -len(head) % 8)
    out += body
    for field, value in sorted(fields.items()):
        if not isinstance(value, Scalar):
            _refer(out, at + places[field], value)
    return at


def _refer(out: bytearray, at: int, value: Any) -> None:
    begin = _put(out, value)
    out[at : at + 4] = (begin - at).to_bytes(4, "little")
