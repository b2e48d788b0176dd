"""Pooling with any pads, dilations and rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def in_order(pads: Sequence[int]) -> list[int]:
    """Pads of `F.pad` (pairs, last axis first) as ONNX has them: all the first ones, then all the last."""
    return [*pads[::2][::-1], *pads[1::2][::-1]]


def windows(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int],
    ceil: bool,
    fill: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """What each window sees, ``(..., outputs, taps)``; whether that is in the image; whether it is in the padded one.

    A window that would start behind the image and its first pad is left out.
    """
    rank = len(kernel)
    seen, inside, padded = x, torch.ones(1, 1, dtype=torch.bool, device=x.device), None
    shape = list(x.shape[:-rank])
    counts, places, real, near = [], [], [], []
    for axis in range(rank):
        size, first, last = x.shape[axis - rank], pads[axis], pads[axis + rank]
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        room = size + first + last - reach
        count = (-(-room // stride[axis]) if ceil else room // stride[axis]) + 1
        if ceil and (count - 1) * stride[axis] >= size + first:
            count -= 1
        starts = torch.arange(count, device=x.device) * stride[axis] - first
        place = starts[:, None] + torch.arange(kernel[axis], device=x.device) * dilation[axis]
        counts.append(count)
        places.append(place.clamp(0, max(size - 1, 0)))
        real.append((place >= 0) & (place < size))
        near.append(place < size + last)
    for axis in range(rank):
        at = x.ndim - rank + axis
        seen = seen.index_select(at, places[axis].flatten())
    seen = seen.reshape(*shape, *(n for axis in range(rank) for n in (counts[axis], kernel[axis])))
    order = [
        *range(len(shape)),
        *(len(shape) + 2 * a for a in range(rank)),
        *(len(shape) + 2 * a + 1 for a in range(rank)),
    ]
    seen = seen.permute(order).reshape(*shape, *counts, math.prod(kernel))
    inside, padded = grid(real), grid(near)
    blank = torch.full((), fill, dtype=x.dtype, device=x.device)
    return torch.where(inside, seen, blank), inside, padded


def grid(flags: Sequence[Tensor]) -> Tensor:
    """Flags by (output, tap) of each axis, together: ``(outputs..., taps)``."""
    rank = len(flags)
    made = torch.ones((), dtype=torch.bool, device=flags[0].device)
    for axis, flag in enumerate(flags):
        shape = [1] * (2 * rank)
        shape[axis], shape[rank + axis] = flag.shape
        made = made & flag.reshape(shape)
    return made.reshape(*made.shape[:rank], -1)


def lowest(x: Tensor) -> float:
    return -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min


def max_pool(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], pads: Sequence[int], ceil: bool
) -> Tensor:
    return windows(x, kernel, stride, dilation, pads, ceil, lowest(x))[0].amax(-1)


def max_pool_places(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int],
    ceil: bool,
    columns_first: bool,
) -> tuple[Tensor, Tensor]:
    """The largest elements and where they are in the flattened input."""
    seen = windows(x, kernel, stride, dilation, pads, ceil, lowest(x))[0]
    sizes = x.shape[2:]
    places = torch.arange(math.prod(sizes), device=x.device)
    places = places.reshape(*sizes[::-1]).permute(*range(len(sizes))[::-1]) if columns_first else places.reshape(sizes)
    where = windows(places[None, None], kernel, stride, dilation, pads, ceil, 0)[0].expand(seen.shape)
    best = seen.argmax(-1, keepdim=True)
    image = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * len(sizes))
    return seen.amax(-1), where.gather(-1, best).squeeze(-1) + image * math.prod(sizes)


def average_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int],
    ceil: bool,
    counts_pads: bool,
) -> Tensor:
    seen, inside, padded = windows(x, kernel, stride, dilation, pads, ceil, 0)
    count = (padded if counts_pads else inside).sum(-1)
    return (seen.float().sum(-1) / count).to(x.dtype)


def power_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int],
    ceil: bool,
    p: int,
) -> Tensor:
    """The p-norm of each window."""
    return windows(x, kernel, stride, dilation, pads, ceil, 0)[0].abs().pow(p).sum(-1).pow(1 / p)


def global_power(x: Tensor, p: int) -> Tensor:
    return x.abs().pow(p).sum(dim=tuple(range(2, x.ndim)), keepdim=True).pow(1 / p)


def max_unpool(
    x: Tensor,
    places: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[int],
    shape: Sequence[int] | None,
) -> Tensor:
    """Elements put back to where `max_pool_places` found them, zeros elsewhere."""
    rank = len(kernel)
    sizes = [(x.shape[a + 2] - 1) * stride[a] + kernel[a] - pads[a] - pads[a + rank] for a in range(rank)]
    inner = [*x.shape[:2], *sizes]
    made = torch.zeros(math.prod(inner), dtype=x.dtype, device=x.device)
    made = made.scatter(0, places.flatten(), x.flatten()).reshape(inner)
    if shape is None or list(shape) == inner:
        return made
    whole = torch.zeros(list(shape), dtype=x.dtype, device=x.device)
    whole[tuple(slice(0, size) for size in inner)] = made
    return whole
