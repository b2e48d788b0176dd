"""Planes of a quantized matrix as ONNX multiplies with them: columns first, small integers packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.kernels.arrays import pack
from modelglot.kernels.blocks_of import JOIN
from modelglot.kernels.planes import plane
from modelglot.kernels.reference.numbers import Array

Rows = Callable[[], Iterator["bytes | memoryview"]]  # the stored rows from the first on, whole ones at a time
_LINES = 64  # numbers of each row that are packed at once
BAND = 12 << 20  # numbers of the result that are held


def planes(params: Mapping[str, Any], shape: tuple[int, ...], rows: Rows) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of one plane, in order. ``params``: ``from`` (block type), ``plane``, ``to`` (dtype), ``turned``.

    ``shape`` is of the result: (rows, numbers), or turned (numbers, rows). A turned plane of more than `BAND` numbers
    is made in bands, and the rows are read again for each.
    """
    kind, name, dtype = BLOCKS[params["from"]], params["plane"], DTYPES[params["to"]]
    blocks_in_row = int(params["width"]) // kind.elements
    if not params["turned"]:
        at = 0
        for piece in rows():
            made = plane(kind.name, name, np.frombuffer(piece, np.uint8).reshape(-1, kind.bytes))
            packed = pack(made, dtype)
            yield at, packed
            at += len(packed)
        return
    numbers, count = shape
    each = numbers // blocks_in_row if blocks_in_row else 0
    step = max(1, BAND // max(1, count * each))
    step += step % 2 if count % 2 else 0  # bands begin at whole bytes
    for first in range(0, blocks_in_row, step):
        last = min(blocks_in_row, first + step)
        band = np.empty(((last - first) * each, count), _held(dtype.name))
        row = 0
        for piece in rows():
            raw = np.frombuffer(piece, np.uint8).reshape(-1, blocks_in_row, kind.bytes)[:, first:last]
            made = plane(kind.name, name, raw.reshape(-1, kind.bytes)).reshape(len(raw), -1)
            band[:, row : row + len(raw)] = made.T
            row += len(raw)
        at = first * each * count * dtype.bits // 8
        for line in range(0, len(band), _LINES):
            packed = packed_small(band[line : line + _LINES], dtype.bits)
            yield at, packed
            at += len(packed)


def _held(dtype: str) -> str:
    return {"i4": "i1", "u4": "u1", "i8": "i1", "u8": "u1", "f16": "<f2"}[dtype]


def packed_small(values: Array, bits: int) -> bytes:
    """Contiguous bytes; numbers of 4 bits two a byte, the first in the low half."""
    if bits != 4:
        return np.ascontiguousarray(values).tobytes()
    flat = values.view(np.uint8).reshape(-1)
    if len(flat) % 2:
        flat = np.append(flat, np.uint8(0))
    made: bytes = (flat[::2] & 15 | flat[1::2] << 4).tobytes()
    return made


def blocks(parts: Mapping[str, Array], params: Mapping[str, Any]) -> Array:
    """The inverse: (rows, bytes) uint8 of all planes by their names; ``params``: ``to`` (block type), ``turned``."""
    kind = BLOCKS[params["to"]]
    shape = params["shape"]
    count = int(np.prod(shape, dtype=np.int64)) // kind.bytes
    arrays = {}
    for name, dtype in zip(params["inputs"], params["dtypes"], strict=True):
        array = parts[name].T if params["turned"] else parts[name]
        arrays[name] = np.ascontiguousarray(array).astype(_held(dtype)).reshape(count, -1)
    if "high" in arrays:
        high, low = arrays.pop("high"), arrays.pop("low")
        arrays["levels"] = high << 4 | low.view(high.dtype)
    made: Array = JOIN[kind.name](arrays).reshape(shape)
    return made
