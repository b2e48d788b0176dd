"""NumPy arrays, dtypes and scalars in pickles, described and not made.

`handlers` gives meaning to the globals with which NumPy 1 and 2 pickle arrays (protocols 0 to 5); `ArrayLeaf` becomes
a `Tensor` whose bytes stay in the file where the stream holds them as one operand. Arrays of objects, text, dates and
records stay inert. Source: the state tuple that ``ndarray.__reduce__`` documents.
"""

from __future__ import annotations

import struct
from math import prod
from typing import Any

from modelglot.containers.pickle.plain import as_items
from modelglot.containers.pickle.values import UNKNOWN, Handler, Leaf
from modelglot.containers.pickle.window import Blob, Place
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import Data, Inline, Missing, Tensor, contiguous_strides
from modelglot.core.tree import Inert

_CODES = {
    "b1": "bool", "?": "bool", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64", "u1": "u8", "u2": "u16", "u4": "u32",
    "u8": "u64", "f2": "f16", "f4": "f32", "f8": "f64", "c8": "c64", "c16": "c128", "bool": "bool", "int8": "i8",
    "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
    "float16": "f16", "float32": "f32", "float64": "f64", "complex64": "c64", "complex128": "c128", "bfloat16": "bf16",
    "float8_e4m3fn": "f8_e4m3", "float8_e5m2": "f8_e5m2", "float8_e4m3fnuz": "f8_e4m3fnuz",
    "float8_e5m2fnuz": "f8_e5m2fnuz", "float8_e8m0fnu": "f8_e8m0", "int4": "i4", "uint4": "u4",
}  # fmt: skip
_SCALARS = {
    "f64": "d", "f32": "f", "f16": "e", "i64": "q", "i32": "i", "i16": "h", "i8": "b", "u64": "Q", "u32": "I",
    "u16": "H", "u8": "B", "bool": "?",
}  # fmt: skip
NUMPY = "numpy.ndarray"
_ARRAY_CLASSES = (NUMPY, "numpy.core.multiarray.ndarray")


def numpy_dtype(value: Any) -> tuple[DType, str] | None:
    """(dtype, byte order) of a pickled ``numpy.dtype``; None for text, objects, records, dates."""
    if isinstance(value, str):
        code, order = value, "<"
    elif isinstance(value, Inert) and value.global_ in ("numpy.dtype", "numpy.core.multiarray.dtype") and value.args:
        code, order = value.args[0], "<"
        if isinstance(code, Inert):
            code = code.global_.removeprefix("ml_dtypes.").removeprefix("numpy.")
        state = as_items(value.state)
        if state is not None and len(state) > 1 and isinstance(state[1], str):
            order = state[1]
    elif isinstance(value, Inert) and value.role in ("reference", "object"):
        # numpy.dtypes.Float32DType() of NumPy 2, or a scalar type such as numpy.float32
        code, order = value.global_.rpartition(".")[2].removesuffix("DType").lower(), "<"
    else:
        return None
    if not isinstance(code, str):
        return None
    if code[:1] in ("<", ">", "|", "="):
        code, order = code[1:], code[0]
    name = _CODES.get(code)
    return (DTYPES[name], "big" if order == ">" else "little") if name else None


class ArrayLeaf(Leaf):
    """An array before it has a name. ``inert`` is what it is if it cannot be described."""

    __slots__ = ("buffer", "dtype", "fortran", "inert", "place", "shape")

    def __init__(self, place: Place | None, inert: Inert) -> None:
        self.place, self.inert = place, inert
        self.shape: Any = None
        self.dtype: Any = None
        self.buffer: Any = None
        self.fortran = False

    @property
    def nested(self) -> bool:
        return _is_objects(self.dtype)

    def build(self, state: Any) -> None:
        """``(version, shape, dtype, is_fortran, data)``; very old files leave the version out."""
        self.inert.state = state
        items = as_items(state)
        if items is None or len(items) not in (4, 5):
            return
        shape, self.dtype, fortran, self.buffer = items[-4:]
        self.shape, self.fortran = as_items(shape), bool(fortran)

    def finish(self, name: str) -> Any:
        """A `Tensor`; an array of objects as the list of them, or the object alone where it has no axes.

        Raises InvalidFileError where shape and bytes disagree.
        """
        found = numpy_dtype(self.dtype)
        shape = self.shape
        if _is_objects(self.dtype) and (objects := as_items(self.buffer)) is not None:
            return objects[0] if shape == [] and len(objects) == 1 else self.buffer
        if found is None or shape is None or not all(type(n) is int and n >= 0 for n in shape):
            return self.inert
        kind, order = found
        if isinstance(self.buffer, str):  # a Python 2 string that happened to be UTF-8
            self.buffer = self.buffer.encode()
        if not isinstance(self.buffer, (bytes, Blob)):
            return self.inert
        need = prod(shape) * kind.itemsize
        have = self.buffer.length if isinstance(self.buffer, Blob) else len(self.buffer)
        if need != have:
            raise InvalidFileError(
                f"an array of shape {list(shape)} and {kind.name} needs {need:,} bytes; the pickle has {have:,}",
                offset=self.buffer.offset if isinstance(self.buffer, Blob) else None,
            )
        strides = None
        if self.fortran and len(shape) > 1:
            strides = tuple(reversed(contiguous_strides(tuple(reversed(shape)))))
        data: Data
        if isinstance(self.buffer, Blob):
            data = self.place.stored(self.buffer, strides, order) if self.place else Missing("its place is not known")
        else:
            data = Inline(_native(self.buffer, kind, order, tuple(shape), strides))
        return Tensor(name, kind, tuple(shape), data)


def _native(raw: bytes, kind: DType, order: str, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> bytes:
    """Small contents as `Inline` holds them: contiguous and little-endian."""
    if strides is None and (order == "little" or kind.swap < 2):
        return raw
    import numpy as np

    units = np.frombuffer(raw, np.dtype(f"V{kind.itemsize}"))
    if strides is not None:
        units = units.reshape(shape, order="F")
    data = np.ascontiguousarray(units).tobytes()
    if order == "big" and kind.swap > 1:
        data = np.frombuffer(data, np.dtype(f">u{kind.swap}")).astype(f"<u{kind.swap}").tobytes()
    return data


def handlers(place: Place | None) -> dict[str, Handler]:
    """``module.name -> handler``. ``place`` is where the stream lies; without it large arrays are `Missing`."""

    def reconstruct(args: list[Any]) -> Any:
        if len(args) == 3 and isinstance(args[0], Inert) and args[0].global_ in _ARRAY_CLASSES:
            return ArrayLeaf(place, Inert(NUMPY, "object"))
        return UNKNOWN

    def from_buffer(args: list[Any]) -> Any:
        """``_frombuffer(buffer, dtype, shape, order[, axis order])`` of protocol 5."""
        if len(args) < 4 or args[3] not in ("C", "F"):
            return UNKNOWN
        leaf = ArrayLeaf(place, Inert(NUMPY, "called", tuple(args)))
        leaf.buffer, leaf.dtype, leaf.shape, leaf.fortran = args[0], args[1], as_items(args[2]), args[3] == "F"
        return leaf

    table: dict[str, Handler] = {}
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray._reconstruct"] = reconstruct
        table[f"{core}.multiarray.scalar"] = scalar
        table[f"{core}.numeric._frombuffer"] = from_buffer
    return table


def scalar(args: list[Any]) -> Any:
    """A NumPy scalar as the Python number it equals."""
    found = numpy_dtype(args[0]) if len(args) == 2 else None
    raw = args[1].encode() if len(args) == 2 and isinstance(args[1], str) else args[-1] if args else None
    if found is None or not isinstance(raw, bytes) or found[0].name not in _SCALARS:
        return UNKNOWN
    kind, order = found
    if len(raw) != kind.itemsize:
        return UNKNOWN
    return struct.unpack((">" if order == "big" else "<") + _SCALARS[kind.name], raw)[0]


def _is_objects(value: Any) -> bool:
    return isinstance(value, Inert) and value.global_ == "numpy.dtype" and value.args[:1] in (("O8",), ("O4",), ("O",))
