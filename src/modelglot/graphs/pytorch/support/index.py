"""Indices that may be negative, and those of several axes."""

from __future__ import annotations

import torch
from torch import Tensor


def wrap(index: Tensor, size: int) -> Tensor:
    """Indices from the front."""
    index = index.long()
    return torch.where(index < 0, index + size, index)


def gather(x: Tensor, index: Tensor, dim: int) -> Tensor:
    return x.gather(dim, wrap(index, x.shape[dim]))


def gather_nd(x: Tensor, index: Tensor, batch: int) -> Tensor:
    """The last axis of the index is a place in the axes behind the first ``batch``."""
    lead = x.shape[:batch]
    flat = index.reshape(-1, *index.shape[batch:]) if batch else index.unsqueeze(0)
    source = x.reshape(-1, *x.shape[batch:]) if batch else x.unsqueeze(0)
    places = [wrap(part, size) for part, size in zip(flat.unbind(-1), source.shape[1:])]
    rows = torch.arange(source.shape[0], device=x.device).reshape(-1, *[1] * (flat.ndim - 2))
    made = source[(rows, *places)]
    return made.reshape(*lead, *made.shape[1:])


def scatter(x: Tensor, index: Tensor, updates: Tensor, dim: int, reduction: str | None = None) -> Tensor:
    index = wrap(index, x.shape[dim])
    if reduction is None:
        return x.scatter(dim, index, updates)
    return x.scatter_reduce(dim, index, updates, reduction)


def scatter_nd(x: Tensor, index: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    """The last axis of the index is a place in the first axes."""
    depth = index.shape[-1]
    place = torch.zeros(index.shape[:-1], dtype=torch.int64, device=x.device)
    for part, size in zip(index.unbind(-1), x.shape):
        place = place * size + wrap(part, size)
    count = 1
    for size in x.shape[:depth]:
        count *= size
    rows = x.reshape(count, -1)
    place = place.reshape(-1, 1).expand(-1, rows.shape[1])
    values = updates.reshape(place.shape)
    if reduction is None:
        return rows.scatter(0, place, values).reshape(x.shape)
    return rows.scatter_reduce(0, place, values, reduction).reshape(x.shape)


def compress(x: Tensor, condition: Tensor, dim: int | None) -> Tensor:
    """The slices, or elements, where the condition holds; it may be shorter than the axis."""
    x, dim = (x.flatten(), 0) if dim is None else (x, dim)
    return x.index_select(dim, condition.nonzero().flatten())


def one_hot(index: Tensor, depth: int, values: Tensor, dim: int) -> Tensor:
    """``values`` are what is off and what is on; an index outside turns nothing on."""
    dim, depth = dim % (index.ndim + 1), int(depth)
    index = torch.where(index < 0, index + depth, index).unsqueeze(dim)
    shape = [1] * index.ndim
    shape[dim] = depth
    on = index == torch.arange(depth, device=index.device).reshape(shape)
    return torch.where(on, values[1], values[0])


def write_cache(past: Tensor, update: Tensor, starts: Tensor | None, dim: int, circular: bool) -> Tensor:
    """The update at a place of its own for each sample of the batch."""
    dim %= past.ndim
    begin = torch.zeros(past.shape[0], dtype=torch.int64, device=past.device) if starts is None else starts.long()
    steps = torch.arange(update.shape[dim], device=past.device)
    places = begin.unsqueeze(1) + steps
    places = places % past.shape[dim] if circular else places
    shape = [1] * past.ndim
    shape[0], shape[dim] = past.shape[0], update.shape[dim]
    return past.scatter(dim, places.reshape(shape).expand_as(update), update)
