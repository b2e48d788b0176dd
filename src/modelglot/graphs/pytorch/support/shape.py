"""Axes and sizes where torch has no single call."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def reshape(x: Tensor, shape: Sequence[int], keep_zero: bool = False) -> Tensor:
    """A size of 0 is that of the input's axis, unless ``keep_zero``."""
    sizes = [x.shape[axis] if size == 0 and not keep_zero else size for axis, size in enumerate(shape)]
    return x.reshape(sizes)


def unsqueeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def cut(
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Tensor:
    """Slices of axes, whose steps may be negative."""
    for number, (start, end) in enumerate(zip(starts, ends)):
        axis = axes[number] if axes is not None else number
        step = steps[number] if steps is not None else 1
        size = x.shape[axis]
        places = (
            range(size)[start:end:step]
            if step > 0
            else range(size)[backwards(start, size) : backwards(end, size) : step]
        )
        if step > 0:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(places.start, places.stop, step),)]
        else:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
    return x


def backwards(place: int, size: int) -> int | None:
    """A bound of a slice with a negative step; None is the one before the first element."""
    place = place + size if place < 0 else place
    return None if place < 0 else min(place, size)


def pad(x: Tensor, pads: Sequence[int], mode: str, value: Tensor | float, axes: Sequence[int] | None = None) -> Tensor:
    """Negative pads cut. ``wrap`` goes on from the other end, ``reflect`` does not repeat the border, ``edge`` does."""
    used = [axis % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
    for number, axis in enumerate(used):
        before, after = pads[number], pads[number + len(used)]
        size = x.shape[axis]
        if mode == "constant":
            parts = [x.narrow(axis, max(-before, 0), max(size + min(before, 0) + min(after, 0), 0))]
            for count, first in ((before, True), (after, False)):
                if count > 0:
                    shape = [*x.shape[:axis], count, *x.shape[axis + 1 :]]
                    filled = torch.as_tensor(value, dtype=x.dtype, device=x.device).expand(shape)
                    parts = [filled, *parts] if first else [*parts, filled]
            x = torch.cat(parts, dim=axis)
            continue
        places = torch.arange(-before, size + after, device=x.device)
        if mode == "edge":
            places = places.clamp(0, size - 1)
        elif mode == "wrap":
            places = places % size
        else:
            period = max(2 * (size - 1), 1)
            places = places % period
            places = torch.where(places >= size, period - places, places)
        x = x.index_select(axis, places)
    return x


def depth_to_space(x: Tensor, size: int) -> Tensor:
    """Channels are (row, column, depth): `F.pixel_shuffle` has (depth, row, column)."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, size, size, channels // size**2, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // size**2, height * size, width * size)


def space_to_depth(x: Tensor, size: int) -> Tensor:
    """Channels are (row, column, depth)."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // size, size, width // size, size)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * size**2, height // size, width // size)


def centre(x: Tensor, shape: Sequence[int], axes: Sequence[int] | None = None) -> Tensor:
    """Cut or padded with zeros to a shape, about the middle."""
    for axis, size in zip(axes if axes is not None else range(x.ndim), shape):
        more = size - x.shape[axis]
        if more < 0:
            x = x.narrow(axis, -more // 2, size)
        elif more > 0:
            behind = x.ndim - 1 - axis % x.ndim
            x = F.pad(x, (0, 0) * behind + (more // 2, more - more // 2))
    return x


def reverse_sequences(x: Tensor, lengths: Tensor, time: int, batch: int) -> Tensor:
    """Each sequence of a batch backwards up to its length."""
    steps = torch.arange(x.shape[time], device=x.device)
    last = lengths.unsqueeze(1) - 1
    places = torch.where(steps <= last, last - steps, steps)
    places = places if batch < time else places.T
    shape = [x.shape[axis] if axis in (time, batch) else 1 for axis in range(x.ndim)]
    return x.gather(time, places.reshape(shape).expand_as(x))


def columns_to_image(
    x: Tensor,
    image: Sequence[int],
    block: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> Tensor:
    """Blocks added up in an image of any number of axes."""
    rank = len(image)
    padded = [size + pads[axis] + pads[axis + rank] for axis, size in enumerate(image)]
    index = torch.zeros(1, 1, dtype=torch.int64, device=x.device)
    for axis in range(rank):
        reach = dilations[axis] * (block[axis] - 1)
        inside = torch.arange(block[axis], device=x.device) * dilations[axis]
        starts = torch.arange(0, padded[axis] - reach, strides[axis], device=x.device)
        step = math.prod(padded[axis + 1 :])
        place = (inside[:, None] + starts[None, :]) * step
        index = (index[:, None, :, None] + place[None, :, None, :]).reshape(
            index.shape[0] * place.shape[0], index.shape[1] * place.shape[1]
        )
    channels = x.shape[1] // index.shape[0]
    values = x.reshape(x.shape[0], channels, -1)
    made = torch.zeros(x.shape[0], channels, math.prod(padded), dtype=x.dtype, device=x.device)
    made = made.index_add(2, index.reshape(-1), values).reshape(x.shape[0], channels, *padded)
    for axis, size in enumerate(image):
        made = made.narrow(axis + 2, pads[axis], size)
    return made
