"""Reductions where torch differs: over all axes, over none, of integers, of nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def axes_tuple(x: Tensor, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Axes from the front; all of them for None."""
    if dim is None:
        return tuple(range(x.ndim))
    return tuple(axis % x.ndim for axis in ((dim,) if isinstance(dim, int) else dim))


def exact(x: Tensor) -> Tensor:
    """Integers as 64-bit ones, where sums do not wrap early; floats as they are."""
    return x if x.is_floating_point() or x.is_complex() else x.long()


def reduce_sum(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    axes = axes_tuple(x, dim)
    return exact(x).sum(dim=axes, keepdim=keepdim).to(x.dtype) if axes else x


def reduce_mean(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    axes = axes_tuple(x, dim)
    wide = x if x.is_floating_point() else x.double()
    return wide.mean(dim=axes, keepdim=keepdim).to(x.dtype) if axes else x


def reduce_prod(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    made = exact(x)
    for axis in sorted(axes_tuple(x, dim), reverse=True):
        made = made.prod(dim=axis, keepdim=keepdim)
    return made.to(x.dtype)


def reduce_amax(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    return extreme(x, axes_tuple(x, dim), keepdim, largest=True)


def reduce_amin(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    return extreme(x, axes_tuple(x, dim), keepdim, largest=False)


def extreme(x: Tensor, axes: tuple[int, ...], keepdim: bool, largest: bool) -> Tensor:
    """The largest or smallest; of no elements, the least or the greatest that the dtype has."""
    if not axes:
        return x
    if any(x.shape[axis] == 0 for axis in axes):
        shape = [1 if axis in axes else size for axis, size in enumerate(x.shape) if keepdim or axis not in axes]
        if x.dtype == torch.bool:
            return torch.full(shape, not largest, device=x.device)
        if x.is_floating_point():
            return torch.full(shape, -torch.inf if largest else torch.inf, dtype=x.dtype, device=x.device)
        limits = torch.iinfo(x.dtype)
        return torch.full(shape, limits.min if largest else limits.max, dtype=x.dtype, device=x.device)
    made = exact(x) if x.dtype in (torch.uint16, torch.uint32, torch.uint64) else x
    return (torch.amax if largest else torch.amin)(made, dim=axes, keepdim=keepdim).to(x.dtype)


def reduce_vector_norm(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    axes = axes_tuple(x, dim)
    wide = x if x.is_floating_point() else x.double()
    return torch.linalg.vector_norm(wide, dim=axes, keepdim=keepdim).to(x.dtype) if axes else x.abs()


def reduce_logsumexp(x: Tensor, dim: int | tuple[int, ...] | None, keepdim: bool = False) -> Tensor:
    axes = axes_tuple(x, dim)
    wide = x if x.is_floating_point() else x.double()
    return torch.logsumexp(wide, dim=axes, keepdim=keepdim).to(x.dtype) if axes else x


def last_argmax(x: Tensor, dim: int, keepdim: bool) -> Tensor:
    """The last of equal largest elements."""
    return x.shape[dim] - 1 - torch.argmax(x.flip(dim), dim=dim, keepdim=keepdim)


def last_argmin(x: Tensor, dim: int, keepdim: bool) -> Tensor:
    """The last of equal smallest elements."""
    return x.shape[dim] - 1 - torch.argmin(x.flip(dim), dim=dim, keepdim=keepdim)


def top(x: Tensor, k: int, dim: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The ``k`` largest or smallest, of equal ones those that come first."""
    made = x.long() if x.dtype in (torch.uint16, torch.uint32, torch.uint64) else x
    values, places = torch.sort(made, dim=dim, descending=largest, stable=True)
    return values.narrow(dim, 0, k).to(x.dtype), places.narrow(dim, 0, k)


def unique(x: Tensor, dim: int | None, ordered: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distinct elements or slices, where each is first, which one each element is, and how often it is there."""
    values, inverse, counts = torch.unique(x, sorted=True, return_inverse=True, return_counts=True, dim=dim)
    inverse = inverse.flatten()
    places = torch.arange(inverse.numel(), device=x.device)
    first = torch.full_like(counts, inverse.numel()).scatter_reduce(0, inverse, places, "amin")
    if not ordered:
        order = torch.argsort(first)
        rank = torch.argsort(order)
        values = values.index_select(dim or 0, order)
        inverse, first, counts = rank[inverse], first[order], counts[order]
    return values, first, inverse, counts
