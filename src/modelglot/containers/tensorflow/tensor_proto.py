"""``TensorProto``: the contents of constants and of old checkpoints; where bytes lie as they are, their place.

Source: tensorflow/core/framework/tensor.proto, field numbers only; a short list of values ends in copies of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import NamedTuple

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.containers.tensorflow.dtypes import STRING, is_quantized, kind
from modelglot.containers.tensorflow.entry import shape_of
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import Opaque
from modelglot.core.errors import InvalidFileError, LimitError, UnsupportedError
from modelglot.core.limits import MIB, Limits
from modelglot.core.tensor import Data, Inline, Stored, Tensor

Place = Callable[[int, int], Stored]  # offset and length of bytes as `Field.at` counts -> where they are stored

_CONTENT, _TEXT = 4, 8
_RAW = (5, 6, 9, 12, 18)  # little-endian: floats, doubles, pairs of them for complex numbers, 8-bit floats
_NUMBERS = (7, 10, 11, 13, 16, 17)  # lists of varints: int, int64, bool, half, uint32, uint64
_EXPANDED = 4 * MIB  # bytes of numbers that are made of varints


class Value(NamedTuple):
    """``texts`` for strings, which are no tensor."""

    tensor: Tensor | None
    shape: tuple[int, ...] = ()
    texts: tuple[bytes, ...] = ()


def read_value(
    name: str,
    message: Iterable[Field],
    place: Place,
    limits: Limits,
    number: int = 0,
    shape: tuple[int, ...] = (),
) -> Value:
    """``number`` and ``shape`` where the message does not say them.

    Raises InvalidFileError where the values do not fit the shape, LimitError where copies of one would be many.
    """
    values: dict[int, list[Field]] = {}
    for part in message:
        if part.number == 1:
            number = part.number_value
        elif part.number == 2:
            shape = shape_of(part.bytes)
        elif part.number in (_CONTENT, _TEXT, *_RAW, *_NUMBERS):
            values.setdefault(part.number, []).append(part)
    dtype = kind(number).dtype
    if number == STRING or number == STRING + 100:
        return Value(None, shape, tuple(bytes(f.bytes) for f in values.get(_TEXT, ())))
    extra = {"tf:dtype": number} if dtype is None or is_quantized(number) else {}
    if dtype is None:
        return Value(_opaque(name, number, shape, values, place, extra), shape)
    return Value(Tensor(name, dtype, shape, _data(dtype, shape, values, place, limits), extra=extra), shape)


def _opaque(
    name: str, number: int, shape: tuple[int, ...], values: dict[int, list[Field]], place: Place, extra: dict[str, int]
) -> Tensor:
    content = values.get(_CONTENT)
    if content is None:
        raise UnsupportedError(f"values of {kind(number).word} are not read")
    found = content[-1]
    data = place(found.at, found.length)
    return Tensor(name, DTYPES["opaque"], shape, data, Opaque(kind(number).word, found.length), extra)


def _data(dtype: DType, shape: tuple[int, ...], values: dict[int, list[Field]], place: Place, limits: Limits) -> Data:
    need = prod(shape) * dtype.itemsize
    if not need:
        return Inline(b"")
    if _CONTENT in values:
        found = values[_CONTENT][-1]
        if found.length != need:
            raise InvalidFileError(f"{found.length:,} bytes where {dtype} of shape {list(shape)} needs {need:,}")
        return place(found.at, found.length)
    lists = [n for n in values if n != _TEXT]
    if len(lists) > 1:
        raise InvalidFileError("values of several types in one constant")
    if not lists:
        return _copies(bytes(dtype.itemsize), dtype.itemsize, need)  # nothing said: zeros
    parts = values[lists[0]]
    if lists[0] in _RAW:
        return _raw(dtype, shape, need, parts, place, limits)
    return _copies(_packed(dtype, parts, need), dtype.itemsize, need)


def _raw(dtype: DType, shape: tuple[int, ...], need: int, parts: list[Field], place: Place, limits: Limits) -> Data:
    whole = [p for p in parts if p.wire != VARINT and p.length]
    total = sum(p.length for p in whole)
    if total % dtype.itemsize or total > need or len(whole) != len(parts):
        raise InvalidFileError(f"{total:,} bytes of values where {dtype} of shape {list(shape)} needs {need:,}")
    if len(whole) == 1 and total == need:
        return place(whole[0].at, total)
    if len(whole) == 1 and total == dtype.itemsize:  # one value for all elements
        limits.check("header", need, "copies of one value")
        return place(whole[0].at, total)._replace(strides=(0,) * len(shape))
    return _copies(b"".join(bytes(p.bytes) for p in whole), dtype.itemsize, need)


def _packed(dtype: DType, parts: list[Field], most: int) -> bytes:
    """Numbers stored as varints, as the elements they are."""
    made, mask = bytearray(), (1 << dtype.bits) - 1
    for part in parts:
        numbers = [part.number_value] if part.wire == VARINT else varints(part.bytes, part.at)
        for number in numbers:
            made += (number & mask).to_bytes(dtype.itemsize, "little")
        if len(made) > most:
            raise InvalidFileError(f"more values than the shape has: {len(made) // dtype.itemsize:,}")
    return bytes(made)


def _copies(said: bytes, item: int, need: int) -> Data:
    """What is said, then the last element again and again."""
    if len(said) < need and need > _EXPANDED:
        raise LimitError(f"{need:,} bytes of copies of one value, more than {_EXPANDED:,}")
    last = said[-item:]
    return Inline(said + last * ((need - len(said)) // item))
