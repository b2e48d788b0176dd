"""Quantized numbers: integers with a scale and a zero point. Sums of their products are exact, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from modelglot.graphs.pytorch.support.type import to_float8, to_small_float


def along(values: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """Scales or zero points in the shape of ``x``: one for all, one for each slice of an axis, or for runs of it."""
    if values.numel() == 1 and values.ndim < 2:
        return values.reshape(())
    if block:
        return values.repeat_interleave(block, dim=axis).narrow(axis, 0, x.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)


def limits(kind: str) -> tuple[int, int, torch.dtype]:
    """The least and the greatest integer of a kind, and the dtype that holds them."""
    bits = int(kind.lstrip("uint"))
    signed = kind.startswith("int")
    dtype = getattr(torch, kind, torch.int8 if signed else torch.uint8)
    if bits < 8:
        dtype = torch.int8 if signed else torch.uint8
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, dtype) if signed else (0, 2**bits - 1, dtype)


def saturated(x: Tensor, zero: Tensor | None, kind: str) -> Tensor:
    """Rounded to even, with the zero point, within the kind's limits."""
    least, most, dtype = limits(kind)
    whole = torch.round(x)
    if zero is not None:
        whole = whole + zero.to(x.dtype)
    return whole.clamp(least, most).to(torch.int64).to(dtype)


def quantize(x: Tensor, scale: Tensor, zero: Tensor | None, kind: str, axis: int = 1, block: int = 0) -> Tensor:
    wide = quotient(x, scale, axis, block)
    return saturated(wide, None if zero is None else along(zero, x, axis, block), kind)


def quantize_float8(
    x: Tensor, scale: Tensor, dtype: torch.dtype, saturate: bool, axis: int = 1, block: int = 0
) -> Tensor:
    return to_float8(quotient(x, scale, axis, block), dtype, saturate)


def quantize_small_float(x: Tensor, scale: Tensor, kind: str, axis: int = 1, block: int = 0) -> Tensor:
    return to_small_float(quotient(x, scale, axis, block), kind)


def quotient(x: Tensor, scale: Tensor, axis: int, block: int) -> Tensor:
    factor = along(scale, x, axis, block)
    return (x / factor).float() if x.is_floating_point() else x.float() / factor.float()


def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None, axis: int = 1, block: int = 0) -> Tensor:
    if block and x.shape[axis] % block == 0:
        behind = axis % x.ndim + 1
        parts = x.reshape(*x.shape[: behind - 1], -1, block, *x.shape[behind:]).float()
        parts = parts if zero is None else parts - zero.unsqueeze(behind).float()
        return (parts * scale.unsqueeze(behind).float()).flatten(behind - 1, behind).to(scale.dtype)
    wide = x.float()
    if zero is not None:
        wide = wide - along(zero, x, axis, block).float()
    return (wide * along(scale, x, axis, block).float()).to(scale.dtype)


def dynamic_quantize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """To 8 bits without sign by the range of the elements, which always has zero in it."""
    least, most = x.min().clamp(max=0), x.max().clamp(min=0)
    scale = (most - least) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = torch.round(-least / scale).clamp(0, 255).to(torch.uint8)
    return saturated(x / scale, zero, "uint8"), scale, zero


def centred(x: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """Without the zero point, which may be one for each slice of an axis."""
    if zero is None:
        return x.double()
    if zero.numel() > 1 and axis is not None:
        zero = zero.reshape([-1 if number == axis else 1 for number in range(x.ndim)])
    return x.double() - zero.double()


def rows_or_columns(zero: Tensor | None, rows: bool) -> Tensor | None:
    """The zero points of rows or columns of matrices, so that they broadcast."""
    return zero.unsqueeze(-1) if zero is not None and zero.ndim == 1 and zero.numel() > 1 and rows else zero


def matmul_integer(a: Tensor, b: Tensor, a_zero: Tensor | None, b_zero: Tensor | None) -> Tensor:
    made = centred(a, rows_or_columns(a_zero, True)) @ centred(b, rows_or_columns(b_zero, False))
    return made.to(torch.int32)


def requantize(
    x: Tensor, a_scale: Tensor, b_scale: Tensor, scale: Tensor, zero: Tensor, kind: str, axis: int | None = None
) -> Tensor:
    """Exact sums of products, in the scale of the result."""
    factor = a_scale.float() * b_scale.float() / scale.float()
    if factor.numel() > 1 and axis is not None:
        factor = factor.reshape([-1 if number == axis else 1 for number in range(x.ndim)])
    return saturated(x.float() * factor, zero, kind)


def qlinear_matmul(
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    scale: Tensor,
    zero: Tensor,
    kind: str,
) -> Tensor:
    made = centred(a, rows_or_columns(a_zero, True)) @ centred(b, rows_or_columns(b_zero, False))
    factor = a_scale.unsqueeze(-1) if a_scale.ndim == 1 and a_scale.numel() > 1 else a_scale
    return requantize(made, factor, b_scale, scale, zero, kind)
