"""Tensors that a kernel will make of others: casts and decoded blocks, as descriptions."""

from __future__ import annotations

from dataclasses import replace

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import PLAIN, Blocks
from modelglot.core.tensor import Derived, Tensor

DECODED = ("f32", "f16", "bf16")  # what blocks decode to in one step


def dequantize(tensor: Tensor, to: str) -> Tensor:
    """The block tensor as floats of dtype ``to``: f32, f16 or bf16."""
    data = Derived("dequantize", (tensor,), {"from": tensor.encoding.name, "to": to})
    return replace(tensor, dtype=DTYPES[to], encoding=PLAIN, data=data)


def as_dtype(tensor: Tensor, to: str) -> Tensor:
    """The plain float tensor in another float dtype."""
    if tensor.dtype.name == to:
        return tensor
    data = Derived("cast", (tensor,), {"from": tensor.dtype.name, "to": to})
    return replace(tensor, dtype=DTYPES[to], data=data)


def as_floats(tensor: Tensor, to: str) -> Tensor:
    """Plain or quantized, as floats of dtype ``to``."""
    if isinstance(tensor.encoding, Blocks):
        return as_dtype(dequantize(tensor, to if to in DECODED else "f32"), to)
    return as_dtype(tensor, to)
