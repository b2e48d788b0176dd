"""dtypes and bytes as numpy knows them; bf16, fp8 and the sub-byte floats through ml_dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import UnsupportedError

_NUMPY = {
    "f64": "float64", "f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "i16": "int16",
    "i8": "int8", "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "bool": "bool",
    "c64": "complex64", "c128": "complex128", "opaque": "uint8",
}  # fmt: skip
_ML_DTYPES = {
    "bf16": "bfloat16", "f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2", "f8_e4m3fnuz": "float8_e4m3fnuz",
    "f8_e5m2fnuz": "float8_e5m2fnuz", "f8_e8m0": "float8_e8m0fnu", "f6_e2m3": "float6_e2m3fn",
    "f6_e3m2": "float6_e3m2fn", "f4_e2m1": "float4_e2m1fn", "i4": "int4", "u4": "uint4", "i2": "int2", "u2": "uint2",
}  # fmt: skip

_TILE = 128


@cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The little-endian numpy dtype of one element. Raises UnsupportedError where there is none."""
    if dtype.name in _NUMPY:
        return np.dtype(_NUMPY[dtype.name]).newbyteorder("<")
    if dtype.name in _ML_DTYPES:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[dtype.name]))
        return found
    raise UnsupportedError(f"numpy has no dtype for `{dtype.name}`")


@cache
def dtype_of(array_dtype: np.dtype[Any]) -> DType:
    """The dtype of a numpy array. Raises UnsupportedError for objects, text, dates and records."""
    for name in (*_NUMPY, *_ML_DTYPES):
        if name != "opaque" and numpy_dtype(DTYPES[name]) == array_dtype.newbyteorder("<"):
            return DTYPES[name]
    raise UnsupportedError(f"no tensor dtype for numpy's `{array_dtype}`")


def as_array(data: Any, dtype: DType, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Contiguous little-endian bytes as an array of ``shape``, sharing memory unless elements are packed."""
    if dtype.bits >= 8:
        return np.frombuffer(data, numpy_dtype(dtype)).reshape(shape)
    return unpack(np.frombuffer(data, np.uint8), dtype, shape)


def unpack(packed: np.ndarray[Any, Any], dtype: DType, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Elements smaller than a byte, one a byte: ``dtype.bits`` each, first element in the lowest bits."""
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.bits == 4:
        values = np.empty(2 * len(packed), np.uint8)
        values[::2], values[1::2] = packed & 15, packed >> 4
        values = values[:count]
    else:
        bits = np.unpackbits(packed, bitorder="little")[: count * dtype.bits].reshape(count, dtype.bits)
        values = np.packbits(bits, axis=1, bitorder="little").reshape(count)
    if dtype.name == "u1":
        return values.reshape(shape)
    if dtype.kind == "int":  # sign-extend into the byte ml_dtypes keeps
        shift = 8 - dtype.bits
        return ((values << shift).view(np.int8) >> shift).astype(numpy_dtype(dtype)).reshape(shape)
    return values.view(numpy_dtype(dtype)).reshape(shape)


def pack(array: np.ndarray[Any, Any], dtype: DType) -> bytes:
    """The inverse of `unpack`; contiguous little-endian bytes for every other dtype."""
    if dtype.bits >= 8:
        return np.ascontiguousarray(array, numpy_dtype(dtype)).tobytes()
    values = np.ascontiguousarray(array).reshape(-1, 1)
    bits = np.unpackbits(
        values.astype(np.int8).view(np.uint8) if dtype.kind == "int" else values.view(np.uint8),
        axis=1,
        bitorder="little",
    )[:, : dtype.bits]
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


class Buffer:
    """Memory used again for each chunk: fresh pages cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._held = np.empty(0, np.uint8)

    def take(self, count: int) -> np.ndarray[Any, Any]:
        """``count`` bytes, good until the next call."""
        if self._held.size < count:
            self._held = np.empty(count, np.uint8)
        return self._held[:count]


def swap_bytes(data: Any, width: int) -> bytes:
    """Every ``width``-byte number in ``data`` with its bytes reversed."""
    return np.frombuffer(data, f"<u{width}").byteswap().tobytes() if width > 1 else bytes(data)


def swap_blocks(data: Any, size: int, words: tuple[tuple[int, int], ...]) -> bytes:
    """Every block of ``size`` bytes with the bytes of its multi-byte numbers (offset, width) reversed."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, size).copy()
    for offset, width in words:
        blocks[:, offset : offset + width] = blocks[:, offset : offset + width][:, ::-1]
    return blocks.tobytes()


def gathered(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    item: int,
    axis: int,
    pieces: Iterable[tuple[int, int, Any]],
) -> memoryview:
    """A view with element strides as contiguous bytes; ``pieces`` are (first, count, bytes) along ``axis``."""
    unit = np.dtype(f"u{item}" if item in (1, 2, 4, 8) else (np.void, item))
    made = np.empty(shape, unit)
    steps = tuple(stride * item for stride in strides)
    for first, count, data in pieces:
        part = (*shape[:axis], count, *shape[axis + 1 :])
        raw = np.frombuffer(data, unit)
        view = np.lib.stride_tricks.as_strided(raw, part, steps, writeable=False)
        _copy(made[(*(slice(None),) * axis, slice(first, first + count))], view)
    return made.reshape(-1).view(np.uint8).data


def _copy(made: np.ndarray[Any, Any], view: np.ndarray[Any, Any]) -> None:
    """In tiles where rows and columns change places: neighbours are used while they are in the cache."""
    fast = min(range(view.ndim), key=lambda a: (view.strides[a] if view.shape[a] > 1 else 1 << 62, -a))
    if fast == view.ndim - 1 or min(view.shape[fast], view.shape[-1]) < 2 * _TILE:
        made[...] = view
        return
    for row in range(0, view.shape[fast], _TILE):
        for column in range(0, view.shape[-1], _TILE):
            where: Any = (*(slice(None),) * fast, slice(row, row + _TILE), ..., slice(column, column + _TILE))
            made[where] = view[where]


def place(
    whole: bytearray, shape: tuple[int, ...], origin: tuple[int, ...], part: Any, part_shape: tuple[int, ...]
) -> None:
    """Write a box of bytes into ``whole`` at ``origin``; what lies outside is cut off."""
    target = np.frombuffer(whole, np.uint8).reshape(shape)
    box = np.frombuffer(part, np.uint8).reshape(part_shape)
    fits = tuple(min(p, s - o) for p, s, o in zip(part_shape, shape, origin, strict=True))
    where = tuple(slice(o, o + f) for o, f in zip(origin, fits, strict=True))
    target[where] = box[tuple(slice(f) for f in fits)]


def unshuffle(data: Any, width: int) -> bytes:
    """Bytes that were grouped by their place in elements of ``width`` bytes, put back; a rest stays at the end."""
    raw = np.frombuffer(data, np.uint8)
    whole = len(raw) // width * width
    return raw[:whole].reshape(width, -1).T.tobytes() + raw[whole:].tobytes()
