"""Tensors as streams of numbers: quantized blocks decoded, floats of any width, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN, Blocks, Opaque
from modelglot.core.tensor import Derived, Missing, Tensor
from modelglot.engine.stream import CHUNK, Open, chunks

if TYPE_CHECKING:
    import numpy as np


def has_numbers(tensor: Tensor) -> bool:
    """False for bytes that nobody interprets, complex numbers, and tensors whose bytes are missing."""
    opaque = isinstance(tensor.encoding, Opaque) or tensor.dtype.kind in ("opaque", "complex")
    return not (opaque or isinstance(tensor.data, Missing))


def numbers(tensor: Tensor, source: Open, size: int = CHUNK) -> Iterator[np.ndarray[Any, Any]]:
    """Flat arrays of float64 (for f64, i64, u64) or float32, in storage order of the contiguous tensor."""
    from modelglot.kernels.arrays import as_array

    if isinstance(tensor.encoding, Blocks):
        data = Derived("dequantize", (tensor,), {"from": tensor.encoding.name, "to": "f32"})
        tensor = replace(tensor, dtype=DTYPES["f32"], encoding=PLAIN, data=data)
    wide = "float64" if tensor.dtype.bits == 64 else "float32"
    for _, piece in chunks(tensor, source, size):
        if tensor.dtype.bits < 8:
            count = len(piece) * 8 // tensor.dtype.bits
            yield as_array(piece, tensor.dtype, (count,)).astype(wide)
        else:
            yield as_array(piece, tensor.dtype, (-1,)).astype(wide)


def aligned(
    left: Iterator[np.ndarray[Any, Any]], right: Iterator[np.ndarray[Any, Any]]
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Two streams of equal length cut at the same places."""
    a: np.ndarray[Any, Any] | None = None
    b: np.ndarray[Any, Any] | None = None
    while True:
        a = a if a is not None and len(a) else next(left, None)
        b = b if b is not None and len(b) else next(right, None)
        if a is None or b is None:
            return
        count = min(len(a), len(b))
        yield a[:count], b[:count]
        a, b = a[count:], b[count:]
