"""Metadata as the bytes of GGUF: exact where it came from GGUF, the closest type for what other formats keep."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

from modelglot.core.metadata import Entry, is_array
from modelglot.formats.gguf.arrays import StoredArray
from modelglot.formats.gguf.header import ARRAY_DEPTH
from modelglot.formats.gguf.types import ARRAY, BOOL, MAX_KEY, SCALARS, STR, VALUE_NUMBERS

_NUMBERS = {name: (number, code) for number, (name, code) in SCALARS.items()}


class NotHoldable(Exception):
    """GGUF has no form for this value; the text says why."""


def pack_entry(key: str, entry: Entry) -> bytes:
    """Key, type and value. Raises NotHoldable."""
    name = _text(key)
    if not key or len(name) - 8 > MAX_KEY:
        raise NotHoldable("the key is empty" if not key else f"the key has more than {MAX_KEY:,} bytes")
    number, value = _pack(entry.value, entry.type)
    return name + number.to_bytes(4, "little") + value


def _pack(value: Any, type_name: str) -> tuple[int, bytes]:
    """(value type, bytes): as ``type_name`` says where the value agrees with it, else by what the value is."""
    if isinstance(value, StoredArray):
        return ARRAY, _stored(value, 1)
    if type_name in _NUMBERS and isinstance(value, (bool, int, float)):
        return _NUMBERS[type_name][0], _scalar(value, type_name)
    if is_array(value):
        inner = type_name[6:-1] if type_name.startswith("array[") and type_name.endswith("]") else ""
        return ARRAY, _array(value, inner, 1)
    if isinstance(value, (bytes, bytearray)):
        return ARRAY, struct.pack("<IQ", 0, len(value)) + value
    if isinstance(value, str):
        return STR, _text(value)
    if isinstance(value, bool):
        return BOOL, _scalar(value, "bool")
    if isinstance(value, int):
        name = _int_type(value, value, ("u32", "i32", "u64", "i64"))
        return _NUMBERS[name][0], _scalar(value, name)
    if isinstance(value, float):
        name = _float_type((value,))
        return _NUMBERS[name][0], _scalar(value, name)
    raise NotHoldable(f"a value of the kind `{type(value).__name__}`")


def _scalar(value: Any, name: str) -> bytes:
    number, code = _NUMBERS[name]
    if number == BOOL and not (isinstance(value, bool) or value in (0, 1)):
        raise NotHoldable(f"{value!r} is no boolean")
    try:
        return struct.pack("<" + code, value)
    except (struct.error, OverflowError):
        raise NotHoldable(f"{value!r} does not fit in {name}") from None


def _text(value: str) -> bytes:
    try:
        raw = value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise NotHoldable("text with lone surrogates, which is not UTF-8") from None
    return len(raw).to_bytes(8, "little") + raw


def _texts(values: Sequence[str]) -> bytes:
    """`_text` of each, all at once: a vocabulary has hundreds of thousands."""
    try:
        raw = [value.encode("utf-8", "surrogateescape") for value in values]
    except UnicodeEncodeError:
        raise NotHoldable("text with lone surrogates, which is not UTF-8") from None
    lengths = struct.pack(f"<{len(raw)}Q", *map(len, raw))
    pieces = [b""] * (2 * len(raw))
    pieces[::2] = [lengths[at : at + 8] for at in range(0, len(lengths), 8)]
    pieces[1::2] = raw
    return b"".join(pieces)


def _int_type(low: int, high: int, order: Iterable[str]) -> str:
    for name in order:
        bits = int(name[1:])
        least, most = (0, (1 << bits) - 1) if name[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)
        if least <= low and high <= most:
            return name
    raise NotHoldable(f"the number {low if low < 0 else high} has more than 64 bits")


def _float_type(values: Iterable[float]) -> str:
    """f32 where every value survives it."""
    for value in values:
        try:
            (back,) = struct.unpack("<f", struct.pack("<f", value))
        except OverflowError:
            return "f64"
        if back != value and value == value:
            return "f64"
    return "f32"


def _array(values: Sequence[Any], inner: str, depth: int) -> bytes:
    if depth > ARRAY_DEPTH:
        raise NotHoldable(f"lists nested more than {ARRAY_DEPTH} deep")
    name = inner if inner in VALUE_NUMBERS else _common(values)
    head = struct.pack("<IQ", VALUE_NUMBERS[name], len(values))
    if name == "array":
        return head + b"".join(
            _stored(v, depth + 1) if isinstance(v, StoredArray) else _array(v, "", depth + 1) for v in values
        )
    if name == "str":
        if not all(isinstance(v, str) for v in values):
            raise NotHoldable("a list that mixes text and other values")
        return head + _texts(values)
    return head + b"".join(_scalar(v, name) for v in values)


def _common(values: Sequence[Any]) -> str:
    """The element type of a plain list. GGUF arrays have one type."""
    if all(isinstance(v, bool) for v in values) and values:
        return "bool"
    if all(isinstance(v, str) for v in values) and values:
        return "str"
    if any(isinstance(v, (bool, str)) or not isinstance(v, (int, float)) for v in values):
        if all(is_array(v) for v in values):
            return "array"
        raise NotHoldable("a list of values that are not all of one kind")
    if all(isinstance(v, int) for v in values):
        return _int_type(min(values, default=0), max(values, default=0), ("i32", "u32", "i64", "u64"))
    return _float_type(values)


def _stored(value: StoredArray, depth: int) -> bytes:
    """Type, count and values: the stored bytes where they already are in the order of version 3 little-endian."""
    head = struct.pack("<IQ", value.number, len(value))
    if value.order == "<" and (value.wide or value.number in SCALARS):
        return head + value.stored
    if value.number == STR:
        return head + _texts(list(value))
    if value.number == ARRAY:
        return head + b"".join(_stored(inner, depth + 1) for inner in value)
    return head + _reversed(value.stored, struct.calcsize("<" + SCALARS[value.number][1]))


def _reversed(raw: bytes, width: int) -> bytes:
    """Big-endian numbers of ``width`` bytes turned around, not decoded, so that every bit of a NaN survives."""
    turned = bytearray(len(raw))
    for place in range(width):
        turned[place::width] = raw[width - 1 - place :: width]
    return bytes(turned)
