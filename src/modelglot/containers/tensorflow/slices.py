"""Variables that were saved in parts: how a part is said, under which key it lies, and the parts put together.

Source: tensorflow/core/framework/tensor_slice.proto; TensorFlow's ordered code, in which keys of parts are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from modelglot.containers.protobuf import fields
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.views import assembled

Slice = tuple[tuple[int, int], ...]  # (start, length) an axis; length -1 is all of it
_MOST = 1 << 63


def slice_of(data: memoryview | bytes) -> Slice:
    """``TensorSliceProto``."""
    found = []
    for field in fields(data):
        if field.number == 1:
            parts = {f.number: f.number_value for f in fields(field.bytes)}
            found.append((parts.get(1, 0), parts.get(2, -1)))
            if max(found[-1]) >= _MOST:
                raise InvalidFileError("a slice of a tensor has a negative place or size")
    return tuple(found)


def extent_of(part: Slice, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a part of a tensor of ``shape``. Raises InvalidFileError where it lies outside."""
    if len(part) != len(shape):
        raise InvalidFileError(f"a slice has {len(part)} axes, the tensor {len(shape)}")
    made = tuple(size if length < 0 else length for (_, length), size in zip(part, shape, strict=True))
    if any(start + n > size for (start, _), n, size in zip(part, made, shape, strict=True)):
        raise InvalidFileError(f"the slice {shown(part)} lies outside of {list(shape)}")
    return made


def merged(whole: Tensor, parts: Sequence[tuple[Slice, Tensor]]) -> Tensor:
    """``whole`` (its name, dtype and shape) put together. A part without bytes leaves it without."""
    covered = sum(prod(t.shape) for _, t in parts)
    if covered != prod(whole.shape):
        raise InvalidFileError(f"slices cover {covered:,} of {prod(whole.shape):,} elements")
    gone = next((t for _, t in parts if isinstance(t.data, Missing)), None)
    if gone is not None:
        return Tensor(whole.name, whole.dtype, whole.shape, gone.data)
    return assembled(whole, sorted(((tuple(start for start, _ in p), t) for p, t in parts), key=lambda b: b[0]))


def shown(part: Slice) -> str:
    return "[" + ", ".join(":" if length < 0 else f"{start}:{start + length}" for start, length in part) + "]"


def slice_key(name: str, part: Slice) -> bytes:
    """The key under which a part of a sliced tensor is stored: TensorFlow's ordered code of 0, name, rank, part."""
    raw = name.encode("utf-8", "surrogateescape")
    made = b"\0" + _ordered(raw) + _number(len(part))
    for start, length in part:
        made += _signed(start) + _signed(length)
    return made


def _ordered(raw: bytes) -> bytes:
    """Text so that it sorts and ends: 0 and 255 escaped, a mark at the end."""
    return b"".join({0: b"\0\xff", 255: b"\xff\0"}.get(b, bytes((b,))) for b in raw) + b"\0\1"


def _number(value: int) -> bytes:
    raw = value.to_bytes(8, "big").lstrip(b"\0")
    return bytes((len(raw),)) + raw


def _signed(value: int) -> bytes:
    """As many leading ones as bytes, then the number in two's complement."""
    size = value if value >= 0 else ~value
    length = size.bit_length() // 7 + 1
    mark = ((1 << length) - 1) << (length * 8 - length)  # ones in the first bits, as the length says
    raw = int.from_bytes((value & (1 << length * 8) - 1).to_bytes(length, "big"), "big")
    return (raw ^ mark).to_bytes(length, "big")
