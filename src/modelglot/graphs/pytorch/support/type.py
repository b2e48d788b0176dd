"""Element types that torch converts otherwise, or lacks."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def to_int(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats without their fraction, which wrap where the integers are too few."""
    return x.to(torch.int64).to(dtype) if x.is_floating_point() else x.to(dtype)


def to_float8(x: Tensor, dtype: torch.dtype, saturate: bool) -> Tensor:
    """Rounded to even; what is too large becomes the largest, or infinity or no number."""
    wide = x.float()
    if dtype == torch.float8_e8m0fnu:
        return wide.to(dtype)
    most = torch.finfo(dtype).max
    if saturate:
        return torch.where(wide.isnan(), wide, wide.clamp(-most, most)).to(dtype)
    made = wide.to(dtype)
    reach = most * (1 + 2.0 ** -(4 if dtype in (torch.float8_e4m3fn, torch.float8_e4m3fnuz) else 3))
    has_inf = dtype == torch.float8_e5m2
    beyond = wide.abs() > reach
    other = torch.where(wide < 0, -torch.inf, torch.inf) if has_inf else torch.full_like(wide, torch.nan)
    return torch.where(beyond, other, made.float()).to(dtype)


def to_power(x: Tensor, how: str) -> Tensor:
    """Powers of two, in 8 bits: rounded ``up``, ``down`` or to the ``nearest``."""
    part, power = torch.frexp(x.float().abs())
    one_more = {"up": part > 0.5, "down": part > 1.0, "nearest": part >= 0.75}[how]
    made = torch.exp2((power - 1 + one_more.int()).clamp(-127, 127).float())
    made = torch.where(x == 0, 2.0**-127, made)
    made = torch.where(x.isfinite(), made, torch.nan)
    return made.to(torch.float8_e8m0fnu)


def to_small_int(x: Tensor, kind: str) -> Tensor:
    """The values of 4-bit and 2-bit integers, in 8 bits: the lowest bits of the whole number."""
    bits = int(kind[-1])
    whole: Tensor = x.round().to(torch.int64) & (2**bits - 1)
    if kind.startswith("u"):
        return whole.to(torch.uint8)
    return torch.where(whole >= 2 ** (bits - 1), whole - 2**bits, whole).to(torch.int8)


def to_small_float(x: Tensor, kind: str) -> Tensor:
    """The values of 4-bit and 6-bit floats, in float32: rounded to even, what is too large becomes the largest."""
    exponent, mantissa = int(kind[-3]), int(kind[-1])
    bias = 2 ** (exponent - 1) - 1
    most = 2.0 ** (2**exponent - 1 - bias) * (2 - 2.0**-mantissa)
    wide = x.float().clamp(-most, most)
    least = 1 - bias
    power = torch.floor(torch.log2(wide.abs().clamp(min=2.0**least))).clamp(min=least)
    step = torch.exp2(power - mantissa)
    made = (torch.round(wide / step) * step).clamp(-most, most)
    return torch.where(wide.isnan(), torch.full_like(wide, -0.0), made)


def unpacked(packed: Tensor, shape: tuple[int, ...], kind: str) -> Tensor:
    """The integers of a tensor that lie several in a byte, the first in the lowest bits."""
    bits = int(kind[-1])
    shifts = torch.arange(0, 8, bits, dtype=torch.uint8, device=packed.device)
    values: Tensor = (packed.unsqueeze(-1) >> shifts) & (2**bits - 1)
    values = values.flatten()[: math.prod(shape)].reshape(shape)
    if kind.startswith("u"):
        return values
    half = 2 ** (bits - 1)
    values = (values ^ half).to(torch.int8) - half
    return values


def arange(start: float, end: float, step: float, dtype: torch.dtype, device: torch.device | None = None) -> Tensor:
    """From ``start`` as many steps as stay before ``end``; none where it lies the other way."""
    count = max(math.ceil((end - start) / step), 0)
    return torch.arange(count, device=device).to(dtype) * step + start


def eye(x: Tensor, diagonal: int, dtype: torch.dtype) -> Tensor:
    """Ones on a diagonal, in the shape of ``x``."""
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape)
    return (columns.unsqueeze(0) - rows.unsqueeze(1) == diagonal).to(dtype)
