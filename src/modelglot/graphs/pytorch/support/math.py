"""Arithmetic where torch's own differs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Quotients; those of integers without their fraction."""
    return a / b if a.is_floating_point() or a.is_complex() else torch.div(a, b, rounding_mode="trunc")


def power(base: Tensor, exponent: Tensor) -> Tensor:
    """In the dtype of the base."""
    unsigned = (torch.uint16, torch.uint32, torch.uint64)
    a = base.long() if base.dtype in unsigned else base
    b = exponent.long() if exponent.dtype in unsigned else exponent
    return torch.pow(a, b).to(base.dtype)


def clip(x: Tensor, least: Tensor | float | None, most: Tensor | float | None) -> Tensor:
    """Between two bounds; the upper one where they are the wrong way round."""
    made = x.long() if x.dtype in (torch.uint16, torch.uint32, torch.uint64) else x
    for bound, function in ((least, torch.maximum), (most, torch.minimum)):
        if bound is not None:
            made = function(made, torch.as_tensor(bound, device=x.device).to(made.dtype))
    return made.to(x.dtype)


def cumulative(
    function: Callable[..., Tensor], x: Tensor, dim: int, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Running sums or products; ``exclusive`` ones do not count the element itself."""
    made = x.flip(dim) if reverse else x
    made = function(made, dim=dim, dtype=x.dtype)
    if exclusive:
        first = torch.full_like(made.narrow(dim, 0, 1), 1 if function is torch.cumprod else 0)
        made = torch.cat((first, made.narrow(dim, 0, x.shape[dim] - 1)), dim=dim)
    return made.flip(dim) if reverse else made


def shrink(x: Tensor, lambd: float, bias: float) -> Tensor:
    """Towards zero by ``bias`` outside of ``lambd``, zero within."""
    zero = torch.zeros_like(x)
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, zero)).to(x.dtype)


def hardmax(x: Tensor, dim: int) -> Tensor:
    """One where the largest element is first, zero elsewhere."""
    return torch.zeros_like(x).scatter(dim, x.argmax(dim, keepdim=True), 1)
